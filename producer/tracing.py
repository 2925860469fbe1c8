"""Traces by OpenTelemetry: a job's trace begins with its submission and goes on in its message.

The standard variables say whether and where to (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its like), the
extra ``tracing`` brings the packages. Nothing of OpenTelemetry is imported unless they do, or the
application that submits has imported it.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
import threading
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from socket import gethostname
from typing import TYPE_CHECKING, Final

from pixfleet.config.contract import TASK_PREPARE

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.trace import Span

    from pixfleet.config.contract import ImageJob

TRACER: Final = "pixfleet"
SUBMIT: Final = "pixfleet-submit"
"""The command line's own service; an application has its name."""
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_MOST_STATE: Final = 512
"""Characters of a tracestate that have to be passed on (W3C Trace Context, 3.3.1.5)."""
_NEEDED: Final = (
    "opentelemetry.sdk.trace",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.instrumentation.celery",
)
_END_S: Final = 3.0
"""How long the end of a process may wait for the collector."""
_log = logging.getLogger(__name__)


@functools.cache
def is_on() -> bool:
    """Do the standard variables ask for traces, and is what makes them installed?"""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    places = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    asked = exporter != "none" if exporter else any(os.environ.get(name) for name in places)
    if asked and not all(_is_installed(name) for name in _NEEDED):
        _log.warning("no traces are made: pip install 'pixfleet[tracing]'")
        return False
    return asked


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # nor what it lies in
        return False


def begin(service: str, ids: IdGenerator | None = None) -> TracerProvider | None:
    """A provider of this process's own, whose spans have ``ids``; ``end`` it with the process.

    A collector that is away costs spans, never a job: the queue is bounded, a thread sends it. A
    setting of OpenTelemetry that is wrong costs all traces, and is said.
    """
    try:
        return _provider(service, ids)
    except Exception:  # noqa: BLE001 (whatever it is, it is no reason to stop a fleet)
        _log.exception("no traces are made: a setting of OpenTelemetry is wrong")
        return None


def _provider(service: str, ids: IdGenerator | None) -> TracerProvider:
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 (on)
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 (ditto)
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 (ditto)

    # Of what the exporter says of a collector that is away, once is enough, and we say it.
    for name in ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    own = {
        "service.name": service,
        "service.version": metadata.version("pixfleet"),
        "host.name": gethostname(),
        "process.pid": os.getpid(),
    }
    resource = Resource.create(own).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
    # Children may be killed when their work is done, so that spans should not lie about for 5 s.
    delay = None if os.environ.get("OTEL_BSP_SCHEDULE_DELAY") else 500.0
    provider.add_span_processor(BatchSpanProcessor(_exporter(), schedule_delay_millis=delay))
    return provider


def end(provider: TracerProvider) -> None:
    """Send what is left, unless that takes longer than three seconds."""
    thread = threading.Thread(target=provider.shutdown, name="traces-end", daemon=True)
    thread.start()
    thread.join(_END_S)


def carried(headers: object) -> dict[str, str]:
    """The W3C trace context in a message's headers, or a request's attributes; {}: none."""
    known = headers if isinstance(headers, dict) else vars(headers)
    parent, state = known.get("traceparent"), known.get("tracestate")
    if not isinstance(parent, str) or not _TRACEPARENT.fullmatch(parent):
        return {}
    if isinstance(state, str) and state and len(state) <= _MOST_STATE:
        return {"traceparent": parent, "tracestate": state}
    return {"traceparent": parent}


def trace_id(context: Mapping[str, str]) -> str:
    """The id of the trace in a ``carried`` context, 32 hex digits; empty: none."""
    return context.get("traceparent", "")[3:35]


def current() -> dict[str, str]:
    """The context of the span that is current here, as headers of a message; {}: none is."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or not trace.get_current_span().get_span_context().is_valid:
        return {}
    from opentelemetry import propagate  # noqa: PLC0415 (imported already, in part)

    headers: dict[str, str] = {}
    propagate.inject(headers)
    return carried(headers)


class Submissions:
    """The spans of jobs that are being submitted; none where nobody traces.

    The spans are the application's: in its trace where one of its spans is current, else each the
    root of its own, by the provider that it has set.
    """

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def begin(self, job: ImageJob) -> dict[str, str]:
        """The headers of the job's message, which carry its trace."""
        trace = sys.modules.get("opentelemetry.trace")
        # redis-py imports OpenTelemetry by itself; that alone is no wish.
        if trace is None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            return current()
        span: Span = trace.get_tracer(TRACER).start_span(
            f"submit/{TASK_PREPARE}",
            kind=trace.SpanKind.PRODUCER,
            attributes={"pixfleet.tenant": job.tenant, "messaging.destination.name": job.queue},
        )
        self._spans.append(span)
        with trace.use_span(span, end_on_exit=False):
            return current()

    def end(self, job_ids: Sequence[str], answers: Sequence[bool | None]) -> None:
        """Which job each one is, and whether it was accepted (False: known already, None: not)."""
        for span, job_id, accepted in zip(self._spans, job_ids, answers, strict=False):
            span.set_attribute("pixfleet.job_id", job_id)
            if accepted is None:
                _fail(span, "refused")
            else:
                span.set_attribute("pixfleet.known_already", not accepted)
                span.end()
        self._spans.clear()

    def fail(self, error: BaseException) -> None:
        """Those that have not ended were not submitted."""
        for span in self._spans:
            _fail(span, type(error).__name__)


@contextmanager
def submitting() -> Generator[Submissions]:
    """The body submits jobs."""
    spans = Submissions()
    try:
        yield spans
    except BaseException as error:
        spans.fail(error)
        raise


def _fail(span: Span, code: str) -> None:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 (imported already)

    span.set_status(Status(StatusCode.ERROR, code))
    span.end()


@contextmanager
def traced(service: str) -> Generator[None]:
    """The body's process has no traces of its own: where they are wanted, it gets them."""
    provider = begin(service) if is_on() else None
    if provider is None:
        yield
        return
    from opentelemetry import trace  # noqa: PLC0415 (on)

    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        end(provider)


def _exporter() -> SpanExporter:
    if os.environ.get("OTEL_TRACES_EXPORTER", "").strip() == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415 (on)

        return ConsoleSpanExporter(out=sys.stderr)
    from .collector import patient_exporter  # noqa: PLC0415 (on)

    return patient_exporter()
