"""prepare: claim, fetch, check, decode once, make what is cheap, hand over what is expensive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pixfleet.config.contract import TASK_PREPARE, ContractError, ImageJob, read_job
from pixfleet.config.results import Failure
from pixfleet.workers import pipeline
from pixfleet.workers.conclusion import begin, lone
from pixfleet.workers.errors import RetryableError
from pixfleet.workers.failures import CANCELLED, WORKER_LOST, failure_of
from pixfleet.workers.preparation import Prepared, prepare_job
from pixfleet.workers.runtime import runtime

from .policy import end_job, retry_later, step

if TYPE_CHECKING:
    from celery import Task

    from pixfleet.workers.fleet.jobs import Claim

_HAND_OVER_LEASE_S = 900
"""A chord's members may wait for a free child; the ledger must not think their job dead."""


@step(TASK_PREPARE)
def prepare(task: Task, message: dict[str, Any]) -> None:
    """The first step of a job; its task id is the job's id."""
    held = runtime()
    job_id: str = task.request.id
    claim = held.ledger.claim(job_id)
    if claim.outcome == "ended":
        return
    if claim.outcome == "busy":
        raise task.retry(countdown=min(claim.lease_left_s + 1, 30))
    try:
        job = read_job(message)
    except ContractError as error:
        hint = "docs/schema/image-job.json is the contract; send what it describes"
        failure = Failure(code="contract_invalid", message=str(error), hint=hint)
        job = ImageJob(source=str(message.get("source") or "?"), output="/", batch="none")
        _end(task, job, claim, failure)
        return
    if claim.outcome != "run":
        _end(task, job, claim, CANCELLED if claim.outcome == "cancelled" else WORKER_LOST)
        return
    with held.ledger.heartbeat(job_id, claim.fence):
        try:
            _hand_on(task, prepare_job(held, job, begin(job_id, job, claim.attempts)), claim)
        except RetryableError as error:
            if (task.request.retries or 0) < held.settings.worker.max_retries:
                held.ledger.release(job_id, claim.fence)
            retry_later(task, error)
            _end(task, job, claim, failure_of(error))


def _hand_on(task: Task, prepared: Prepared, claim: Claim) -> None:
    if not prepared.members:
        end_job(task, prepared.job, prepared.draft, [], claim.fence)
        return
    runtime().ledger.renew(task.request.id, claim.fence, _HAND_OVER_LEASE_S)
    job = prepared.job.model_dump(mode="json")
    finish = {
        "fence": claim.fence,
        "job": job,
        "draft": prepared.draft.model_dump(mode="json"),
    }
    members = [
        {"job_id": task.request.id, "sha256": prepared.draft.sha256, "job": job, "variant": name}
        for name in prepared.members
    ]
    pipeline.fan_out(task.app, members, finish, prepared.job.queue)


def _end(task: Task, job: ImageJob, claim: Claim, failure: Failure) -> None:
    draft = begin(task.request.id, job, claim.attempts)
    end_job(task, job, draft, [lone(failure)], claim.fence)
