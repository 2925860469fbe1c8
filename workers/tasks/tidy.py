"""tidy: what killed processes left in the store is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from pixfleet.config.contract import TASK_TIDY
from pixfleet.producer.desk import ENDS
from pixfleet.workers.errors import WorkError
from pixfleet.workers.runtime import runtime
from pixfleet.workers.storage.leftovers import sweep_leftovers

from .policy import step

if TYPE_CHECKING:
    from celery import Task

_OLD_S: Final = 3_600
"""Longer than any write takes."""
_log = structlog.get_logger(__name__)


@step(TASK_TIDY)
def tidy(task: Task, message: dict[str, Any]) -> None:  # noqa: ARG001 (every step's signature)
    """A store that is away is looked at the next time."""
    held = runtime()

    def is_ended(job_id: str) -> bool:
        known = held.ledger.statuses([job_id])
        return not known or known[0].state in ENDS

    try:
        swept = sweep_leftovers(held.store, _OLD_S, is_ended)
    except WorkError as error:
        _log.warning("tidy.put_off", code=error.code, reason=error.message)
        return
    if swept.parts or swept.parked:
        _log.info("tidy.removed", parts=swept.parts, parked=swept.parked)
