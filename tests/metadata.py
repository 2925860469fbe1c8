"""A stand-in for EC2's instance metadata service, version 2, on loopback."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACTION = "/latest/meta-data/spot/instance-action"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"


class _Handler(BaseHTTPRequestHandler):
    def do_PUT(self):
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path != "/latest/api/token" or not 1 <= int(ttl or 0) <= 21_600:
            self._answer(400)
            return
        token = uuid.uuid4().hex
        self.server.tokens.add(token)
        self._answer(200, token.encode())

    def do_GET(self):
        metadata = self.server
        answers = {
            "500": (500, b"<html>"),
            "huge": (200, b"{" + b" " * 3_000_000 + b"}"),
            "redirect": (302, b""),
        }
        if self.headers.get("X-aws-ec2-metadata-token") not in metadata.tokens:
            self._answer(401)
        elif metadata.fault == "hang":
            time.sleep(3)
        elif metadata.fault:
            self._answer(*answers[metadata.fault])
        elif self.path in metadata.documents:
            self._answer(200, metadata.documents[self.path])
        else:
            self._answer(404, b"<html>Not Found</html>")

    def _answer(self, status: int, body: bytes = b""):
        self.server.asked.append((self.command, self.path, status))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # it had read enough
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Metadata(ThreadingHTTPServer):
    """What the machine's metadata service says; paths not in ``documents`` are absent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.documents: dict[str, bytes] = {}
        self.tokens: set[str] = set()
        self.fault = ""
        """How every document is answered: "", "500", "hang", "huge" or "redirect"."""
        self.asked: list[tuple[str, str, int]] = []
        """method, path, status"""

    def interrupt(self, within_s: float, action: str = "terminate") -> None:
        """Put out the notice that the machine ends so many seconds from now."""
        at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=within_s)
        document = {"action": action, "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        self.documents[ACTION] = json.dumps(document).encode()

    def describe(self, kind: str, life_cycle: str) -> None:
        """Say which machine this is."""
        self.documents["/latest/meta-data/instance-type"] = kind.encode()
        self.documents["/latest/meta-data/instance-life-cycle"] = life_cycle.encode()

    def recommend_rebalance(self) -> None:
        at = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.documents[REBALANCE] = json.dumps({"noticeTime": at}).encode()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
