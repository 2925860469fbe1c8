"""A gate in front of moto's SQS: counts what passes, and refuses what a test wants refused.

A poll ends when its client is gone, as one hopes of SQS; moto itself would take another message for
a worker that was killed, and hide it. docs/sqs.md says what comes of that.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections import Counter
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class SqsGate:
    """An endpoint of SQS that a test can watch and disturb."""

    def __init__(self, behind: str) -> None:
        self.behind = urlsplit(behind).netloc
        self.requests: Counter[str] = Counter()
        """by action"""
        self.entries: list[int] = []
        """how many messages each batch of sends held"""
        self.delivered: Counter[str] = Counter()
        """how often each message was handed out, by its id"""
        self.refusals: dict[str, list[tuple[int, dict]]] = {}
        """by action: answers that its next requests get instead"""
        self.not_taken: list[str] = []
        """ids of entries that the next batch of sends does not take"""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _handler(self):
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                passed = gate.pass_on(action, self.path, dict(self.headers), body, self._gone)
                with contextlib.suppress(OSError):
                    self._answer(*passed)

            def _gone(self):
                readable, _, _ = select.select([self.connection], [], [], 0)
                return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

            def _answer(self, status, answer):
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        return Handler

    def pass_on(self, action, path, headers, body, gone):
        self.requests[action] += 1
        if waiting := self.refusals.get(action):
            status, answer = waiting.pop(0)
            return status, json.dumps(answer).encode()
        failed = []
        if action == "SendMessageBatch":
            request = json.loads(body)
            self.entries.append(len(request["Entries"]))
            refused, self.not_taken = self.not_taken, []
            failed = [{"Id": id_, "Code": "InternalError", "SenderFault": False} for id_ in refused]
            request["Entries"] = [e for e in request["Entries"] if e["Id"] not in refused]
            body = json.dumps(request).encode()
        if action == "ReceiveMessage":
            status, content = self._poll(path, headers, json.loads(body), gone)
        else:
            status, content = self._ask(path, headers, body)
        if failed:
            content = json.dumps({**json.loads(content), "Failed": failed}).encode()
        if action == "ReceiveMessage" and status == 200:
            for message in json.loads(content).get("Messages", []):
                self.delivered[message["MessageId"]] += 1
        return status, content

    def _poll(self, path, headers, request, gone):
        """Many short polls: moto itself goes on with a long one when its client is gone."""
        wait_s = request.get("WaitTimeSeconds", 20)
        body = json.dumps({**request, "WaitTimeSeconds": 0}).encode()
        deadline = time.monotonic() + wait_s
        status, content = 200, b"{}"
        while not gone():
            status, content = self._ask(path, headers, body)
            if status != 200 or json.loads(content).get("Messages"):
                break
            if time.monotonic() > deadline:
                break
            time.sleep(0.03)
        return status, content

    def _ask(self, path, headers, body):
        connection = HTTPConnection(self.behind, timeout=60)
        connection.request("POST", path, body, headers | {"Content-Length": str(len(body))})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content
