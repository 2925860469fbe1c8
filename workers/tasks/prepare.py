"""prepare: claim, fetch, check, decode once, make what is cheap, hand over what is expensive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structlog.contextvars import bind_contextvars

from pixfleet.config.contract import TASK_PREPARE, ContractError, ImageJob
from pixfleet.config.queues import LARGE
from pixfleet.config.results import Failure, Receipt
from pixfleet.producer.client import registration
from pixfleet.producer.tracing import carried
from pixfleet.workers import pipeline, tracing
from pixfleet.workers.admission import admit
from pixfleet.workers.conclusion import begin, lone
from pixfleet.workers.errors import OversizeError, RetryableError
from pixfleet.workers.failures import CANCELLED_EARLY, TOO_LATE, failure_of, worker_lost
from pixfleet.workers.preparation import Prepared, clear_parked, prepare_job
from pixfleet.workers.runtime import Runtime, runtime

from .policy import backoff_s, end_job, step

if TYPE_CHECKING:
    from celery import Task

    from pixfleet.workers.fleet.jobs import Claim, JobLedger


@step(TASK_PREPARE)
def prepare(task: Task, message: dict[str, Any]) -> None:
    """The first step of a job; its task id is the job's id."""
    held = runtime()
    job_id: str = task.request.id
    job, failure = _read(held, job_id, message)
    claim = held.ledger.claim(job_id)
    if claim.outcome == "unknown":  # a foreign client's
        adopted = job.model_copy(update={"batch": None}) if failure else job
        headers = carried(task.request)
        held.ledger.register([registration(adopted, job_id, sent=message, headers=headers)])
        claim = held.ledger.claim(job_id)
    if claim.outcome in ("busy", "held"):
        # The sweeper sends another message, when the lease runs out or the budget opens.
        return
    if claim.outcome == "ended":
        if claim.fence > 1:  # who ended it may have died before it cleared up
            clear_parked(held, job_id, claim.fence)
        return
    _say(held.ledger, task, job, claim)
    failure = _refusal(held.ledger, job_id, claim) or failure
    if failure:
        _end(task, job, claim, failure)
        return
    with held.ledger.heartbeat(job_id, claim.fence):
        try:
            draft = begin(job_id, job, claim.attempts)
            # Who is told to take large images tries what came as one, and sends on what did not.
            large = LARGE in task.app.amqp.queues.consume_from and held.large.has(job_id)
            prepared = prepare_job(
                held,
                job,
                draft,
                claim.fence,
                whatever_it_needs=large,
                thrifty=claim.thrifty,
            )
            _hand_on(task, prepared, claim)
        except OversizeError as error:
            if held.large.reroute(job_id, claim.fence, error.message) == "unserved":
                _end(task, job, claim, failure_of(error))
        except RetryableError as error:
            if not _put_off(held, job_id, claim, error):
                _end(task, job, claim, failure_of(error), error.in_vain)


def _say(ledger: JobLedger, task: Task, job: ImageJob, claim: Claim) -> None:
    """From here on log and trace know whose job it is, and which attempt this is."""
    job_id: str = task.request.id
    bind_contextvars(attempt=claim.attempts, tenant=job.tenant)
    tracing.told(attempt=claim.attempts, source=job.shown_source)

    def since() -> float:
        over = ledger.attempts(job_id)
        return over[-1].ended if over else ledger.status(job_id).submitted_at

    tracing.waited(carried(task.request), job_id, since, claim.attempts)


def _read(held: Runtime, job_id: str, message: dict[str, Any]) -> tuple[ImageJob, Failure | None]:
    """The job, or what can be said of one whose message is not to be followed, and why."""
    try:
        return admit(held.settings.signing.keys, job_id, message), None
    except ContractError as error:
        failure = Failure(code=error.code, message=str(error), hint=error.hint)
        source = str(message.get("source") or "?")
        return ImageJob(source=source, output="/", batch="none"), failure


def _put_off(held: Runtime, job_id: str, claim: Claim, error: RetryableError) -> bool:
    """Have the job tried again later; False: the retries are used up."""
    worker = held.settings.worker
    if claim.tries >= worker.max_retries:
        return False
    delay_s = max(backoff_s(worker, claim.tries), error.after_s)
    held.ledger.delay(job_id, claim.fence, delay_s, error.message, error.in_vain)
    return True


def _refusal(ledger: JobLedger, job_id: str, claim: Claim) -> Failure | None:
    """Why the job ends without being begun."""
    if claim.outcome == "exhausted":
        return worker_lost([a for a in ledger.attempts(job_id) if a.how == "lost"])
    if claim.outcome == "cancelled":
        return CANCELLED_EARLY
    return TOO_LATE if claim.outcome == "late" else None


def _hand_on(task: Task, prepared: Prepared, claim: Claim) -> None:
    if not prepared.members:
        try:
            end_job(prepared.job, prepared.draft, [], claim.fence)
        except RetryableError as error:
            error.in_vain = prepared.draft.receipt
            raise
        return
    job_id: str = task.request.id
    held = runtime()
    if not held.ledger.hand_over(job_id, claim.fence):
        clear_parked(held, job_id, claim.fence)
        return
    job = prepared.job.model_dump(mode="json")
    common = {"job_id": job_id, "fence": claim.fence, "attempt": claim.attempts, "job": job}
    members = [
        {**common, "sha256": prepared.draft.sha256, "variant": name} for name in prepared.members
    ]
    finish = {**common, "draft": prepared.draft.model_dump(mode="json")}
    pipeline.fan_out(task.app, members, finish, prepared.job.queue)


def _end(
    task: Task, job: ImageJob, claim: Claim, failure: Failure, in_vain: Receipt | None = None
) -> None:
    draft = begin(task.request.id, job, claim.attempts)
    end_job(job, draft, [lone(failure, in_vain)], claim.fence)
