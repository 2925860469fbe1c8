"""notify: a job has ended, and its webhook is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pixfleet.config.contract import TASK_NOTIFY
from pixfleet.workers.notice import deliver
from pixfleet.workers.runtime import runtime

from .policy import step

if TYPE_CHECKING:
    from celery import Task


@step(TASK_NOTIFY)
def notify(task: Task, message: dict[str, Any]) -> None:  # noqa: ARG001 (every step's signature)
    """The outbox says whether there is anything to tell, so that twice is no harm."""
    deliver(runtime(), message["job_id"])
