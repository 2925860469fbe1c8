"""A collector of traces on loopback: OTLP over HTTP, decoded, what it got in lists."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class GotSpan:
    """One span as it came."""

    name: str
    trace: str
    id: str
    parent: str
    began_s: float
    ended_s: float
    attributes: dict[str, Any]
    failed: str | None
    """the status' message, None where it is no error"""
    resource: dict[str, Any]


class Collector:
    """Answers 200 and keeps what it got, until ``close``."""

    def __init__(self) -> None:
        self.spans: list[GotSpan] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(
        self, job_id: str, *names: str, count: int = 1, whole: bool = True, within_s: float = 30
    ) -> list[GotSpan]:
        """The spans of the trace of a job, as soon as each of ``names`` is among them.

        And the parents of all but one root, where it is ``whole``: every process sends its own.
        """
        deadline = time.monotonic() + within_s
        while True:
            traces = {s.trace for s in self.spans if s.attributes.get("pixfleet.job_id") == job_id}
            found = [span for span in list(self.spans) if span.trace in traces]
            got = [span.name for span in found]
            ids = {span.id for span in found}
            apart = {span.parent for span in found if span.parent not in ids}
            if all(got.count(name) >= count for name in names) and (len(apart) == 1 or not whole):
                return found
            assert time.monotonic() < deadline, f"{names} not in {sorted(got)}"
            time.sleep(0.05)


def _spans(request: ExportTraceServiceRequest) -> list[GotSpan]:
    return [
        GotSpan(
            name=span.name,
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            began_s=span.start_time_unix_nano / 1e9,
            ended_s=span.end_time_unix_nano / 1e9,
            attributes=_plain(span.attributes),
            failed=span.status.message
            if span.status.code == span.status.STATUS_CODE_ERROR
            else None,
            resource=_plain(group.resource.attributes),
        )
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _plain(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
