"""finalize: collect the parts of a fanned-out job and end it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pixfleet.config.contract import TASK_FINALIZE, ImageJob
from pixfleet.config.results import Manifest, Part
from pixfleet.workers.admission import opened
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
    message = opened(held.settings.signing.keys, TASK_FINALIZE, "", message)
    job_id, fence = message["job_id"], message["fence"]
    try:
        with held.ledger.heartbeat(job_id, fence, "finalize") as wanted:
            if not wanted:  # the job has ended, or another run of it goes on
                clear_parked(held, job_id, fence)
                return
            draft = Manifest.model_validate(message["draft"])
            made = [Part.model_validate(part) for part in parts]
            end_job(ImageJob.model_validate(message["job"]), draft, made, fence)
    except RetryableError as error:
        if not retry_later(task, error):
            raise
