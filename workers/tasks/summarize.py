"""summarize: the last job of a batch has ended; write its manifest and report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from pixfleet.config.contract import TASK_SUMMARIZE
from pixfleet.workers.errors import RetryableError, WorkError
from pixfleet.workers.runtime import runtime
from pixfleet.workers.summary import write_summary

from .policy import retry_later, step

if TYPE_CHECKING:
    from celery import Task

_log = structlog.get_logger(__name__)


@step(TASK_SUMMARIZE)
def summarize(task: Task, message: dict[str, Any]) -> None:
    """Running it twice writes the same files."""
    held = runtime()
    batch: str = message["batch"]
    problem = ""
    try:
        write_summary(held, batch)
    except RetryableError as error:
        retry_later(task, error)
        problem = error.message
    except WorkError as error:
        problem = f"{error.message}; {error.hint}"
    except Exception as error:  # noqa: BLE001 (who waits must learn of it)
        problem = f"unforeseen {type(error).__name__}: {error}"
        _log.exception("summary.failed", batch=batch)
    held.ledger.finish_batch(batch, problem=problem)
    held.memo.evict()
