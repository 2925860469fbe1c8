"""Exceptions → failures as data, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from pixfleet.config.results import Failure

from .errors import INTERRUPTIONS, WorkError
from .fleet.jobs import CANCELLED, WORKER_LOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixfleet.producer.ledger import Attempt

_log = structlog.get_logger(__name__)


def failure_of(error: BaseException, variant: str | None = None) -> Failure:
    """The failure that a human reads; an unforeseen exception is also logged with its traceback."""
    if isinstance(error, WorkError):
        code, message, hint = error.code, error.message, error.hint
    elif isinstance(error, INTERRUPTIONS):
        code = "time_limit"
        message = "the job took longer than its time limit"
        hint = "raise PIXFLEET_WORKER_SOFT_TIME_LIMIT_S and _HARD_TIME_LIMIT_S, or ask for less"
    elif isinstance(error, MemoryError):
        code = "out_of_memory"
        message = "the worker had not enough memory for this image"
        hint = "lower PIXFLEET_LIMITS_MAX_PIXELS, or run fewer children on this machine"
    else:
        _log.error("bug", variant=variant, exc_info=error)
        code = "internal_error"
        message = f"unforeseen {type(error).__name__}: {error}"
        hint = "this is a fault of pixfleet: please report it with the worker's log"
    return Failure(code=code, message=message, hint=hint, variant=variant)


CANCELLED_EARLY = Failure(
    code=CANCELLED,
    message="the job was cancelled before a worker took it up",
    hint="`pixfleet retry` queues it again",
)
TOO_LATE = Failure(
    code="deadline_passed",
    message="no worker took this job up within its deadline",
    hint="start more workers, or give the job more time (deadline_s); `pixfleet retry` queues it "
    "again without a deadline",
)


def worker_lost(attempts: Sequence[Attempt]) -> Failure:
    """The end of a job whose attempts are used up, and how each of them ended."""
    ends = "; ".join(f"{attempt.owner}: {attempt.why}" for attempt in attempts)
    return Failure(
        code=WORKER_LOST,
        message=f"every worker that took this job up was lost with it ({ends})",
        hint="the image probably needs more memory or time than a child has, or breaks a decoder: "
        "look into those workers' logs, lower the limits, or leave the image out; `pixfleet retry` "
        "tries again",
    )
