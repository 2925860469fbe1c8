"""What all steps have in common: names, retries, and failure as data.

A step never raises what is permanent. It raises celery's ``Retry`` while the world is unavailable,
and when the retries are used up that is data too.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, cast

from celery import Task, shared_task

from pixfleet.workers.conclusion import conclude
from pixfleet.workers.preparation import clear_parked
from pixfleet.workers.runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pixfleet.config.contract import ImageJob
    from pixfleet.config.results import Manifest, Part
    from pixfleet.config.worker_settings import WorkerSettings
    from pixfleet.workers.errors import RetryableError


def step(name: str) -> Callable[[Callable[..., Any]], Task]:
    """Register a function ``(task, …) -> JSON`` as the task ``name``."""
    return cast(
        "Callable[[Callable[..., Any]], Task]",
        shared_task(
            name=name,
            bind=True,
            max_retries=None,
            acks_late=True,
            Request="pixfleet.workers.fleet.losses:StepRequest",
        ),
    )


def end_job(job: ImageJob, draft: Manifest, parts: Sequence[Part], fence: int) -> None:
    """End the job; the one that ends its batch has the batch summarized."""
    held = runtime()
    batch = conclude(held, job, draft, parts, fence)
    if batch:
        held.ledger.summarize(batch)
    # An earlier run may have parked pixels for members that nobody waits for any more.
    if fence > 1 or (draft.plan and draft.plan.members):
        clear_parked(held, draft.job_id, fence)


def backoff_s(worker: WorkerSettings, tries: int) -> float:
    """Seconds until the next try: doubled with each, and jittered."""
    return worker.retry_backoff_s * 2**tries * random.uniform(0.5, 1.5)  # noqa: S311 (jitter)


def retry_later(task: Task, error: RetryableError) -> bool:
    """Schedule another try with doubling, jittered delay; False: the retries are used up.

    Raises:
        celery.exceptions.Retry: the try is scheduled.
    """
    worker = runtime().settings.worker
    tries: int = task.request.retries or 0
    if tries >= worker.max_retries:
        return False
    raise task.retry(exc=error, countdown=backoff_s(worker, tries))
