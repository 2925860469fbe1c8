"""Ids of spans: random, but for the root of a trace that a job's id has given.

Imported only where traces are made; it needs the extra ``tracing``.
"""

from __future__ import annotations

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator


class TraceIds(RandomIdGenerator):
    """Random ids, unless the next span's are given; one thread of a child makes spans."""

    def __init__(self) -> None:
        super().__init__()
        self.next = ""
        """trace and span id of the next span as a traceparent has them, up to the flags"""

    def generate_trace_id(self) -> int:
        """128 bits."""
        return int(self.next[3:35], 16) if self.next else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """64 bits."""
        return int(self.next[36:], 16) if self.next else super().generate_span_id()
