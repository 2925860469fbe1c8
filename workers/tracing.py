"""A worker's part of a job's trace: its steps, their stages, the time it waited, what was lost.

Celery's instrumentation makes a span of each step and of each message that a step sends; here is
what it cannot know. A job whose message carries no trace context gets one that its id gives, so
that all its attempts are in one trace all the same.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery import signals
from structlog.contextvars import get_contextvars

from pixfleet.producer import tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

    from .trace_ids import TraceIds

SERVICE = "pixfleet-worker"


@dataclass(frozen=True, slots=True)
class _Tracing:
    provider: TracerProvider
    tracer: Tracer
    ids: TraceIds


_process: list[_Tracing] = []
"""What this process traces with; empty where it does not. A child makes its own after the fork."""


def begin_child() -> None:
    """This process takes part in traces, if they are wanted: after the fork, because of threads."""
    _process.clear()
    if begun := _begun():
        from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415 (on)

        CeleryInstrumentor().instrument(tracer_provider=begun.provider)
        # After the instrumentation's own receiver, which makes the step's span the current one.
        signals.task_prerun.connect(_say_facts, weak=False)


def _say_facts(**_: object) -> None:
    facts = get_contextvars()
    told(**{name: facts.get(name) for name in ("job_id", "batch", "tenant", "attempt", "variant")})


def end_process() -> None:
    """What this process has not sent yet is sent."""
    while _process:
        tracing.end(_process.pop().provider)


def _begun() -> _Tracing | None:
    """What this process traces with, from now on if not already; None: no traces are made."""
    if not _process and tracing.is_on():
        from .trace_ids import TraceIds  # noqa: PLC0415 (on)

        ids = TraceIds()
        if provider := tracing.begin(SERVICE, ids):
            _process.append(_Tracing(provider, provider.get_tracer(tracing.TRACER), ids))
    return _process[0] if _process else None


def adopt(request: Any, job_id: str) -> dict[str, str]:
    """The trace context of a step's request; where traces are made and there is none, a new one."""
    context = tracing.carried(request)
    if not context and _process and job_id:
        context = {"traceparent": _own_traceparent(_process[0], job_id)}
        request.traceparent = context["traceparent"]
    return context


def _own_ids(job_id: str) -> str:
    digest = hashlib.sha256(job_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}"


def _own_traceparent(begun: _Tracing, job_id: str) -> str:
    own = _own_ids(job_id)
    sampler = begun.provider.sampler
    sampled = sampler.should_sample(None, int(own[3:35], 16), "wait").decision.is_sampled()
    return f"{own}-{'01' if sampled else '00'}"


@contextmanager
def stage(name: str, attributes: Callable[[], Mapping[str, Any]]) -> Generator[None]:
    """The body is a stage of the step at work; ``attributes`` are asked for when it has ended."""
    if not _process:
        yield
        return
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 (on)

    tracer = _process[0].tracer
    with tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    ) as span:
        code = ""
        try:
            yield
        except BaseException as error:
            code = str(getattr(error, "code", type(error).__name__))
            raise
        finally:
            known = dict(attributes())
            span.set_attributes(known)
            if code and "pixfleet.given_up" not in known:
                span.set_status(Status(StatusCode.ERROR, code))


def waited(
    context: Mapping[str, str], job_id: str, since: Callable[[], float], attempt: int
) -> None:
    """A job's attempt has begun that could have begun at ``since``, UTC seconds, asked if traced.

    The wait is a span beside the attempt's own; the first one of a trace that nobody else has
    begun is its root.
    """
    if not _process:
        return
    from opentelemetry import context as contexts  # noqa: PLC0415 (on)
    from opentelemetry import propagate  # noqa: PLC0415 (on)

    now_ns = time.time_ns()
    ids = _process[0].ids
    parent = propagate.extract(dict(context))
    if attempt == 1 and context.get("traceparent", "")[:52] == _own_ids(job_id):
        ids.next, parent = _own_ids(job_id), contexts.Context()
    span = _process[0].tracer.start_span(
        "wait",
        context=parent,
        start_time=min(int(since() * 1e9), now_ns),
        attributes=_named({"job_id": job_id, "attempt": attempt}),
    )
    ids.next = ""
    span.end(now_ns)


def told(**attributes: Any) -> None:
    """Facts about the step at work, for its span."""
    if _process:
        from opentelemetry import trace  # noqa: PLC0415 (on)

        trace.get_current_span().set_attributes(_named(attributes))


def failed(codes: str) -> None:
    """The step at work ends its job with failures, which is no exception."""
    if _process:
        from opentelemetry import trace  # noqa: PLC0415 (on)

        status = trace.Status(trace.StatusCode.ERROR, codes)
        trace.get_current_span().set_status(status)


def lost(
    task: str, context: Mapping[str, str], job_id: str, began: float, why: str, **attributes: Any
) -> None:
    """The main process tells of a step whose child is gone, and its spans with it.

    ``began``: UTC seconds. A main process makes no other spans, so it begins with the first.
    """
    begun = _begun()
    if begun is None:
        return
    from opentelemetry import propagate, trace  # noqa: PLC0415 (on)

    carrier = dict(context) or {"traceparent": _own_traceparent(begun, job_id)}
    span = begun.tracer.start_span(
        f"run/{task}",
        context=propagate.extract(carrier),
        kind=trace.SpanKind.CONSUMER,
        start_time=int(began * 1e9),
        attributes=_named({"job_id": job_id, "why": why, **attributes}),
    )
    span.set_status(trace.Status(trace.StatusCode.ERROR, why))
    span.end()


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {f"pixfleet.{name}": value for name, value in attributes.items() if value is not None}
