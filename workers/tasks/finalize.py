"""finalize: collect the parts of a fanned-out job and end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pixfleet.config.contract import TASK_FINALIZE, ImageJob
from pixfleet.config.results import Manifest, Part
from pixfleet.workers.errors import RetryableError
from pixfleet.workers.preparation import clear_parked
from pixfleet.workers.runtime import runtime

from .policy import end_job, retry_later, step

if TYPE_CHECKING:
    from celery import Task


@step(TASK_FINALIZE)
def finalize(task: Task, parts: list[dict[str, Any]], message: dict[str, Any]) -> None:
    """The body of the chord."""
    held = runtime()
    draft = Manifest.model_validate(message["draft"])
    job = ImageJob.model_validate(message["job"])
    try:
        clear_parked(held, draft.job_id)
        made = [Part.model_validate(part) for part in parts]
        end_job(task, job, draft, made, message["fence"])
    except RetryableError as error:
        if not retry_later(task, error):
            raise
