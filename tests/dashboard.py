"""A dashboard as it is started for real, and a visitor who asks it over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.brokers import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

CELERY = str(Path(sys.executable).with_name("celery"))


@dataclass(frozen=True)
class Reply:
    """What came back; headers by their names in small letters."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class DashboardProcess:
    """``celery -A pixfleet.workers.app dashboard`` on loopback; options are Flower's."""

    def __init__(self, broker: str, *options: str, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.command = [CELERY, "--app=pixfleet.workers.app", "--quiet", "dashboard", *options]
        self.environment = {
            **os.environ,
            "PIXFLEET_BROKER": broker,
            "PIXFLEET_MONITOR_FLOWER_PORT": str(self.port),
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self.command, env=self.environment)
        deadline = time.monotonic() + 40
        while not self._answers():
            assert self._process.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _answers(self) -> bool:
        try:
            self.ask("/healthcheck")
        except OSError:
            return False
        return True

    def ask(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Reply:
        """The reply to one request; ``Sec_Fetch_Site="none"`` is the header Sec-Fetch-Site."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read().decode(errors="replace"))
        finally:
            connection.close()

    def order(self, path: str, order: Mapping[str, Any], **changed: str) -> Reply:
        """POST as a page of ours does, but for headers that are ``changed``; "" leaves one out."""
        page = self.ask(path.rsplit("/", 1)[0] or "/")
        cookie = page.headers["set-cookie"].split(";")[0]
        headers = {
            "Cookie": cookie,
            "X_Xsrftoken": cookie.partition("=")[2],
            "Content_Type": "application/json",
            "Sec_Fetch_Site": "same-origin",
            "Origin": self.url,
            **changed,
        }
        sent = {name: value for name, value in headers.items() if value}
        return self.ask(path, "POST", json.dumps(order), **sent)
