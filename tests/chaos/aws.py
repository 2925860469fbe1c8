"""moto's server as AWS, in a process of its own so that it keeps its pace."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any, Self

import boto3

from tests.brokers import free_port
from tests.chaos.proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path

_ANSWER_S = 60.0
_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}
BUCKET = "chaos"


class Aws:
    """S3 and SQS, each reached by the fleet through a network that can be cut."""

    def __init__(self, log: Path) -> None:
        self._port = free_port()
        self._log = log
        self.url = f"http://127.0.0.1:{self._port}"
        self.store = Proxy(self._port)
        self.queue = Proxy(self._port)

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _ANSWER_S
        while True:
            try:
                urllib.request.urlopen(self.url, timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.1)
        self.store.__enter__()
        self.queue.__enter__()
        self.client("s3").create_bucket(Bucket=BUCKET)
        return self

    def __exit__(self, *_: object) -> None:
        self.store.__exit__()
        self.queue.__exit__()
        self._process.kill()
        self._process.wait()

    def client(self, service: str) -> Any:
        """A client that goes round the breakable network."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            aws_access_key_id=_ACCOUNT["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=_ACCOUNT["AWS_SECRET_ACCESS_KEY"],
            region_name=_ACCOUNT["AWS_DEFAULT_REGION"],
        )

    @property
    def environment(self) -> dict[str, str]:
        """As the fleet's processes see AWS."""
        return {
            **_ACCOUNT,
            "AWS_ENDPOINT_URL": self.queue.url,
            "AWS_ENDPOINT_URL_S3": self.store.url,
        }
