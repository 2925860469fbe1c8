"""Submit jobs to a fleet and follow them."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config.contract import TASK_PREPARE, ImageJob
from pixfleet.config.recipes import load_recipe
from pixfleet.config.settings import Settings
from pixfleet.config.signature import seal

from .admission import admit
from .connection import connect
from .desk import JobDesk
from .envelope import envelope
from .ledger import Ledger, Registration
from .sqs import check_size, post_of
from .tracing import submitting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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

    def cancel(self) -> bool:
        """End the job as cancelled; False: it has ended, or is in work and ends by itself.

        Raises:
            UnknownJobError: its result has expired.
        """
        return JobDesk(self.ledger).cancel(self.id)

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
        self._keys = settings.signing.keys
        self._on_sqs = settings.broker.on_sqs
        self.ledger = Ledger(connect(settings.ledger_url), settings.queue, post_of(settings))

    def submit(self, job: ImageJob, *, patience_s: float = 0) -> JobHandle:
        """Queue one job.

        Raises:
            RecipeNotFoundError: the recipe's file does not exist.
            BudgetClosedError: what the fleet, the tenant or the recipe may spend is spent.
            BacklogFullError: too many jobs wait, still after ``patience_s``; says when to come
                again.
            MessageTooLargeError: its recipe is too large to travel in a message on SQS.
            LedgerUnavailableError: Redis did not answer.
            SqsUnavailableError: SQS did not take it; the sweeper sends it again.
        """
        return next(self.submit_many([job], patience_s=patience_s))

    def submit_many(
        self, jobs: Iterable[ImageJob], *, patience_s: float = 0
    ) -> Iterator[JobHandle]:
        """Queue jobs as fast as they come, some hundred a round trip, with bounded memory.

        Lazy, like every generator: a handle is yielded per job, in order, and jobs are queued as
        the iterator is driven.

        Raises:
            BacklogFullError, BudgetClosedError: as ``submit``; after the handles of those that were
                accepted.
        """
        for chunk in _chunks(jobs, _CHUNK):
            with submitting() as spans:
                registrations = [
                    registration(job, keys=self._keys, headers=spans.begin(job)) for job in chunk
                ]
                for job in registrations if self._on_sqs else ():
                    check_size(job.message, job.source)
                answers, refusal = admit(self.ledger, registrations, patience_s)
                spans.end([job.id for job in registrations], answers)
            for job, new in zip(registrations, answers, strict=True):
                if new is not None:
                    yield JobHandle(job.id, new, self.ledger)
            if refusal:
                raise refusal

    def close_batch(self, batch: str, *, output: str, title: str = "") -> None:
        """No more jobs will come: the summary is written as soon as the last one has ended."""
        self.ledger.close_batch(batch, {"output": output, "title": title})
        status = self.ledger.batch(batch)
        if status.ended >= status.submitted:
            self.ledger.summarize(batch)

    def batch(self, batch: str) -> BatchStatus:
        """Where a batch stands."""
        return self.ledger.batch(batch)


def registration(
    job: ImageJob,
    job_id: str = "",
    *,
    keys: Sequence[bytes] = (),
    sent: dict[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Registration:
    """What the ledger is told of a job; with ``job_id`` one that a foreign client has ``sent``.

    Its message is signed with the first of ``keys``; one that was sent stays as it came, so that
    what was refused is refused again. ``headers`` say which trace it belongs to.

    Raises:
        RecipeNotFoundError: the recipe's file does not exist.
    """
    own_id = job_id or str(
        uuid.uuid5(_JOB_IDS, f"{job.tenant}\0{job.idempotency_key}")
        if job.idempotency_key
        else uuid.uuid4()
    )
    message = sent or seal(keys, TASK_PREPARE, own_id, _message(job))
    return Registration(
        id=own_id,
        tenant=job.tenant,
        recipe=job.recipe if isinstance(job.recipe, str) else job.recipe.name,
        source=job.shown_source,
        queue=job.queue,
        batch=job.batch or "",
        message=envelope(TASK_PREPARE, own_id, message, job.queue, headers=headers),
        deadline_s=job.deadline_s or 0,
        adopted=bool(job_id),
        webhook=job.webhook or "",
    )


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
