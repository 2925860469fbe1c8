"""Submit jobs to a fleet and follow them."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config.contract import TASK_PREPARE, TASK_SUMMARIZE, ImageJob
from pixfleet.config.queues import ENCODE
from pixfleet.config.recipes import load_recipe
from pixfleet.config.settings import Settings

from .envelope import envelope
from .ledger import Ledger, Registration, connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from celery import Celery

    from pixfleet.config.results import Manifest

    from .ledger import BatchStatus, JobStatus

_JOB_IDS: Final = uuid.UUID("6b1f8f0e-9d1c-5f0b-8b59-7f3d0a4c2e11")
_CHUNK: Final = 500
"""Jobs per round trip; bounds what submit_many holds in memory."""


@dataclass(frozen=True, slots=True)
class JobHandle:
    """A submitted job."""

    id: str
    accepted: bool
    """False: a job of the same idempotency key was known already; this is it."""
    ledger: Ledger

    def status(self) -> JobStatus:
        """Where the job stands.

        Raises:
            UnknownJobError: its result has expired.
        """
        return self.ledger.status(self.id)

    def result(self, timeout_s: float = 60) -> Manifest:
        """The manifest, as soon as the job has ended.

        Raises:
            ResultTimeoutError: it had not ended within ``timeout_s``.
            UnknownJobError: its result has expired.
        """
        return self.ledger.wait(self.id, timeout_s)


class Producer:
    """Puts image jobs on a fleet's queue.

    Args:
        broker: ``redis://…``, ``rediss://…``, ``redis+socket://…`` or ``sqs://``; the environment's
            ``PIXFLEET_BROKER`` when absent.
        ledger: URL of the Redis that keeps the ledger; needed with SQS, else the broker's.
    """

    def __init__(self, broker: str | None = None, *, ledger: str | None = None) -> None:
        settings = Settings.load()
        if broker is not None:
            settings = settings.with_broker(broker, ledger or "")
        self._settings = settings
        self._queues_in_redis = not settings.broker.broker.startswith("sqs:")
        self._app: Celery | None = None
        self.ledger = Ledger(connect(settings.ledger_url))

    def submit(self, job: ImageJob) -> JobHandle:
        """Queue one job.

        Raises:
            RecipeNotFoundError: the recipe's file does not exist.
            LedgerUnavailableError: Redis did not answer.
        """
        return next(self.submit_many([job]))

    def submit_many(self, jobs: Iterable[ImageJob]) -> Iterator[JobHandle]:
        """Queue jobs as fast as they come, some hundred a round trip, with bounded memory.

        Lazy, like every generator: a handle is yielded per job, in order, and jobs are queued as
        the iterator is driven.
        """
        for chunk in _chunks(jobs, _CHUNK):
            registrations = [self._registration(job) for job in chunk]
            accepted = self.ledger.register(registrations)
            for job, registration, new in zip(chunk, registrations, accepted, strict=True):
                if new and not self._queues_in_redis:
                    self._send(TASK_PREPARE, registration.id, _message(job), job.queue)
                yield JobHandle(registration.id, new, self.ledger)

    def close_batch(self, batch: str, *, output: str, title: str = "") -> None:
        """No more jobs will come: the summary is written as soon as the last one has ended."""
        self.ledger.close_batch(batch, {"output": output, "title": title})
        status = self.ledger.batch(batch)
        if status.ended >= status.submitted:
            self.summarize(batch)

    def summarize(self, batch: str) -> None:
        """Ask for the batch's manifest and report; asking twice writes the same files."""
        message = {"batch": batch}
        if self._queues_in_redis:
            task_id = str(uuid.uuid4())
            self.ledger.redis.lpush(ENCODE, envelope(TASK_SUMMARIZE, task_id, message, ENCODE))
        else:
            self._send(TASK_SUMMARIZE, str(uuid.uuid4()), message, ENCODE)

    def batch(self, batch: str) -> BatchStatus:
        """Where a batch stands."""
        return self.ledger.batch(batch)

    def _registration(self, job: ImageJob) -> Registration:
        job_id = str(
            uuid.uuid5(_JOB_IDS, f"{job.tenant}\0{job.idempotency_key}")
            if job.idempotency_key
            else uuid.uuid4()
        )
        recipe = job.recipe if isinstance(job.recipe, str) else job.recipe.name
        message = (
            envelope(TASK_PREPARE, job_id, _message(job), job.queue)
            if self._queues_in_redis
            else b""
        )
        return Registration(
            id=job_id,
            tenant=job.tenant,
            recipe=recipe,
            source=job.source,
            queue=job.queue,
            batch=job.batch or "",
            message=message,
        )

    def _send(self, task: str, task_id: str, message: dict[str, Any], queue: str) -> None:
        if self._app is None:
            # Celery's own sender, only where the envelope cannot be pushed by hand.
            from celery import Celery  # noqa: PLC0415 (0.3 s that Redis users need not pay)

            from pixfleet.config.broker import celery_options  # noqa: PLC0415 (imports kombu)

            self._app = Celery("pixfleet")
            self._app.conf.update(celery_options(self._settings))
        self._app.send_task(task, args=[message], task_id=task_id, queue=queue, ignore_result=True)


def _message(job: ImageJob) -> dict[str, Any]:
    # A recipe's file is the producer's: workers elsewhere could not read it.
    if isinstance(job.recipe, str) and (job.recipe.endswith(".toml") or "/" in job.recipe):
        job = job.model_copy(update={"recipe": load_recipe(job.recipe)})
    return job.model_dump(mode="json", exclude_defaults=True) | {
        "schema_version": job.schema_version
    }


def _chunks(jobs: Iterable[ImageJob], size: int) -> Iterator[list[ImageJob]]:
    iterator = iter(jobs)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
