"""encode: one expensive variant, as a chord member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pixfleet.config.contract import TASK_ENCODE, ImageJob
from pixfleet.config.results import Part, Receipt
from pixfleet.workers.admission import opened
from pixfleet.workers.conclusion import lone
from pixfleet.workers.errors import RetryableError
from pixfleet.workers.failures import failure_of
from pixfleet.workers.preparation import encode_member
from pixfleet.workers.runtime import runtime

from .policy import retry_later, step

if TYPE_CHECKING:
    from celery import Task


@step(TASK_ENCODE)
def encode(task: Task, message: dict[str, Any]) -> dict[str, Any]:
    """Encode the parked pixels of one variant; the answer is a part of the manifest."""
    held = runtime()
    message = opened(held.settings.signing.keys, TASK_ENCODE, "", message)
    variant: str = message["variant"]
    job_id, fence = message["job_id"], message["fence"]
    part = Part(receipt=Receipt())
    try:
        with held.ledger.heartbeat(job_id, fence, variant) as wanted:
            if wanted:
                job = ImageJob.model_validate(message["job"])
                part = encode_member(held, job, (job_id, fence), message["sha256"], variant)
    except RetryableError as error:
        retry_later(task, error)
        part = lone(failure_of(error, variant))
    except Exception as error:  # noqa: BLE001 (raised, it would lose the whole chord)
        part = lone(failure_of(error, variant))
    return part.model_dump(mode="json")
