"""Whole jobs from the memo: the same content and recipe again costs a look-up and copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pixfleet.config.contract import SUFFIXES, ImageJob, Recipe
from pixfleet.config.results import Features, Manifest, Part, Plan, VariantResult

from .imaging.encode import codec_versions
from .imaging.requantise import requantiser
from .memo.memo import Memo, MemoLinks
from .sight import detector

if TYPE_CHECKING:
    from .runtime import Runtime
    from .spend.meter import Meter


@dataclass(frozen=True, slots=True)
class Recalled:
    """A job that was done before."""

    known: dict[str, Any]
    """fields of the manifest"""
    part: Part


def job_key(recipe: Recipe, sha256: str, prices: str) -> str:
    """The memo key of a whole job: content, recipe, prices, versions of all that makes it."""
    asked = recipe.model_dump(mode="json", exclude={"name", "description", "execution"})
    versions = codec_versions(), detector(), requantiser()
    return Memo.key("job", sha256, asked, prices, *versions)


def remember(runtime: Runtime, job: ImageJob, manifest: Manifest) -> None:
    """Keep a job that was done whole; its blobs are those of its variants."""
    fresh = manifest.plan is None or manifest.plan.execution != "memo"
    if any(variant.passed_over for variant in manifest.variants):
        return  # another time the better candidate may come through
    if manifest.status != "done" or not isinstance(job.recipe, Recipe) or not fresh:
        return
    if not manifest.sha256:
        return
    fields = {"format", "width", "height", "notes", "same_as", "features", "variants"}
    receipt = manifest.receipt
    runtime.memo.put(
        job_key(job.recipe, manifest.sha256, runtime.prices.label),
        MemoLinks(
            meta=manifest.model_dump(mode="json", include=fields),
            sha256s=[variant.sha256 for variant in manifest.variants],
            # What it cost and what earlier hits saved: making it afresh would cost both.
            cost_usd=receipt.cost_usd + receipt.saved_usd,
            cpu_s=receipt.cpu_s + receipt.saved_cpu_s,
        ),
    )


def recall(
    runtime: Runtime, job: ImageJob, recipe: Recipe, sha256: str, meter: Meter
) -> Recalled | None:
    """The job from the memo, its variants written to the output; None: it has to be done."""
    with meter.stage("memo") as passage:
        entry = runtime.memo.get(job_key(recipe, sha256, runtime.prices.label))
        passage.memo_hit = entry is not None
    if entry is None:
        return None
    meter.saved(entry.cost_usd, entry.cpu_s)
    output = runtime.output(job, meter)
    variants: list[VariantResult] = []
    with meter.stage("store") as passage:
        for fields, data in zip(entry.meta["variants"], entry.blobs, strict=True):
            path = f"{job.output_name}/{fields['name']}.{SUFFIXES[fields['format']]}"
            output.put(path, data)
            meter.bytes_out(len(data))
            passage.bytes += len(data)
            variants.append(VariantResult.model_validate({**fields, "path": path, "memo": True}))
    known = {name: entry.meta[name] for name in ("format", "width", "height", "same_as")}
    known |= {
        "notes": tuple(entry.meta["notes"]),
        "features": Features.model_validate(entry.meta["features"]),
        "plan": Plan(execution="memo", reason="the same content and recipe were done before"),
    }
    return Recalled(known, Part(variants=tuple(variants)))
