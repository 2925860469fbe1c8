"""Exceptions → failures as data, with what to do."""

from __future__ import annotations

import structlog

from pixfleet.config.results import Failure

from .errors import INTERRUPTIONS, WorkError

_log = structlog.get_logger()


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


WORKER_LOST = Failure(
    code="worker_lost",
    message="every worker that took this job up died with it",
    hint="the image probably needs more memory or time than a child has, or breaks a decoder: "
    "look into the worker's log, lower the limits, or leave the image out",
)
CANCELLED = Failure(
    code="cancelled",
    message="the batch was cancelled before a worker took this job up",
    hint="submit it again",
)
