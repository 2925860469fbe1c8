"""Spans on their way to a collector by OTLP over HTTP, which may be away: said once, not each time.

Imported only where traces are made; it needs the extra ``tracing``.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

_TIMEOUT_S: Final = 3.0
"""Tries included; the SDK's own are 10 s, which the end of a process would have to wait."""
_log = logging.getLogger(__name__)


def patient_exporter() -> SpanExporter:
    """By the standard variables for endpoint, headers, certificates, compression, timeout."""
    names = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
    given = any(os.environ.get(name) for name in names)
    return _PatientExporter(OTLPSpanExporter(timeout=None if given else _TIMEOUT_S))


class _PatientExporter(SpanExporter):
    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """As the inner one's; what is not taken is lost."""
        result = self._inner.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            _log.warning("the collector of traces does not answer: spans are lost, jobs go on")
        elif self._away and not away:
            _log.warning("the collector of traces answers again")
        self._away = away
        return result

    def shutdown(self) -> None:
        """Without waiting for a try that goes on."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return self._inner.force_flush(timeout_millis)
