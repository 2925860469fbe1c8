"""The last step of a job: merge what was made, write the manifest, end the job in the ledger."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import structlog

from pixfleet.config.contract import ImageJob, Recipe
from pixfleet.config.results import Failure, Manifest, Part, Receipt
from pixfleet.producer.tracing import current

from . import tracing
from .errors import RetryableError, WorkError
from .failures import failure_of
from .fleet.owner import owner_name
from .pictures import with_pictures
from .recall import remember
from .spend.meter import merge
from .storage.places import open_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .runtime import Runtime

_log = structlog.get_logger(__name__)


def begin(job_id: str, job: ImageJob, attempts: int) -> Manifest:
    """The manifest of a job of which nothing is known yet."""
    return Manifest(
        job_id=job_id,
        source=job.shown_source,
        output=job.output,
        recipe=job.recipe if isinstance(job.recipe, str) else job.recipe.name,
        tenant=job.tenant,
        status="failed",
        attempts=attempts,
        worker=owner_name(),
        finished_at=dt.datetime.now(dt.UTC),
    )


def conclude(
    runtime: Runtime, job: ImageJob, draft: Manifest, parts: Sequence[Part], fence: int
) -> str | None:
    """End the job, once; the answer is the batch that ended with it."""
    manifest = _merged(draft, parts, job.recipe)
    if runtime.settings.memo.enabled:
        remember(runtime, job, manifest)
    if isinstance(job.recipe, Recipe):
        manifest = with_pictures(manifest, job.recipe)
    if not job.batch:
        if job.output.startswith("s3://"):  # counted beforehand, for it holds the receipt
            meter = runtime.meter()
            meter.request("s3_put")
            receipt = merge([manifest.receipt, meter.receipt()])
            manifest = manifest.model_copy(update={"receipt": receipt})
        manifest = _published(runtime, job, manifest)
    if job.webhook and (context := current()):
        runtime.ledger.keep_trace(draft.job_id, context["traceparent"])
    completion = runtime.ledger.complete(manifest, fence)
    if not completion.accepted:
        _log.warning("job.superseded", job_id=draft.job_id, fence=fence)
        valid = runtime.ledger.manifest(draft.job_id)
        if valid and not job.batch:  # ours has taken the place of the one that counts
            _published(runtime, job, valid)
    if manifest.failures:
        tracing.failed(", ".join(failure.code for failure in manifest.failures[:3]))
    tracing.told(status=manifest.status, cost_usd=float(manifest.receipt.cost_usd))
    _log.info(
        "job.ended",
        job_id=manifest.job_id,
        status=manifest.status,
        variants=len(manifest.variants),
        cost_usd=f"{manifest.receipt.cost_usd:f}",
        failures=[failure.code for failure in manifest.failures],
    )
    return completion.ended_batch


def _merged(draft: Manifest, parts: Sequence[Part], recipe: str | Recipe) -> Manifest:
    variants = [*draft.variants, *(v for part in parts for v in part.variants)]
    failures = (*draft.failures, *(f for part in parts for f in part.failures))
    if isinstance(recipe, Recipe):
        order = {spec.name: place for place, spec in enumerate(recipe.variants)}
        variants.sort(key=lambda variant: order.get(variant.name, 0))
    wanted_files = not isinstance(recipe, Recipe) or bool(recipe.variants)
    useful = bool(variants) if wanted_files else draft.features is not None
    status = "done" if not failures else "partial" if useful else "failed"
    return draft.model_copy(
        update={
            "status": status,
            "variants": tuple(variants),
            "failures": failures,
            "receipt": merge([draft.receipt, *(part.receipt for part in parts)]),
            "finished_at": dt.datetime.now(dt.UTC),
        }
    )


def _published(runtime: Runtime, job: ImageJob, manifest: Manifest) -> Manifest:
    """Write a single job's manifest beside its variants; a batch writes one for all."""
    try:
        data = manifest.model_dump_json(indent=1).encode()
        output = open_output(job.output, runtime.settings.outputs.allowed)
        output.put(f"{job.output_name}/manifest.json", data)
    except WorkError as error:
        # Once failed, the job has no more tries to wait for the store: its ledger has the reason.
        if isinstance(error, RetryableError) and manifest.status == "done":
            raise
        failures: tuple[Failure, ...] = (*manifest.failures, failure_of(error))
        status = "partial" if manifest.status == "done" else manifest.status
        return manifest.model_copy(update={"failures": failures, "status": status})
    return manifest


def lone(failure: Failure, in_vain: Receipt | None = None) -> Part:
    """A part that made nothing, why, and what was used for it."""
    return Part(failures=(failure,), receipt=in_vain or Receipt())
