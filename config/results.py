"""The contract's answers: what workers say of a job, in manifests, receipts and summaries."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 (pydantic reads annotations at run time)
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from .contract import SCHEMA_VERSION, Format, Frozen

JobState = Literal[
    "waiting", "queued", "delayed", "held", "running", "done", "failed", "quarantined", "cancelled"
]
"""waiting: its turn on the queue has not come; delayed: waits for a retry; held: its budget is
spent; the last four are ends, quarantined the one of a job that used up its attempts."""
ManifestStatus = Literal["done", "partial", "failed"]


def _usd(value: Any) -> Decimal:
    if isinstance(value, float):
        raise ValueError("money must be a decimal string, not a float")  # noqa: TRY004 (pydantic's)
    try:
        return Decimal(value)
    except (TypeError, InvalidOperation):
        raise ValueError(f"{value!r} is not an amount of money") from None


Usd = Annotated[
    Decimal,
    BeforeValidator(_usd),
    PlainSerializer(lambda money: format(money, "f"), return_type=str, when_used="json"),
]
"""US dollars as an exact decimal; a string in JSON."""


class Failure(Frozen):
    """Why something was not made, in words a human can act on."""

    code: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    message: str
    hint: str
    variant: str | None = Field(default=None, description="the variant concerned; null: the image")


class FloorsResult(Frozen):
    """How a variant keeps its two floors; all scores are of the pixels of the final bytes."""

    salient_target: float
    background_target: float
    salient_score: float | None = Field(description="null: nothing is salient")
    background_score: float | None = Field(description="null: everything is salient")
    salient_share: float = Field(description="of the pixels, 0 to 1")
    worst_tile_score: float | None = Field(
        description="lowest score of all tiles of 128 px; null: too small for one"
    )
    treatment: Literal["uniform", "requantised", "softened"] = Field(
        description="of the background; uniform: none, since none took fewer bytes"
    )
    strength: float = Field(
        description=(
            "requantised: what a bit is worth, in squares of quantiser steps; softened: level "
            "below which waves are faint, in 8-bit steps; uniform: 0"
        )
    )
    uniform_bytes: int = Field(description="what uniform coding took for the same floors")


class LifetimeCost(Frozen):
    """What a file costs from its making to its end, USD by cause."""

    retention_months: float
    views: float = Field(description="of this file: the recipe's, times the share it serves")
    compute_usd: Usd = Field(description="of the CPU seconds spent on it")
    requests_usd: Usd = Field(description="to store the file")
    storage_usd: Usd = Field(description="of its bytes for the recipe's retention")
    egress_usd: Usd = Field(description="of its bytes in the recipe's views")
    total_usd: Usd


class CandidateResult(Frozen):
    """A format at an effort of its encoder that was considered for a file."""

    format: Format
    effort: str = Field(description="in the encoder's words: speed 8; empty where it has but one")
    quality: float | None = Field(description="the encoder's; null: not encoded to the end")
    bytes: int | None = Field(description="measured, or as expected; null: unknown")
    score: float | None = Field(description="null: not encoded to the end")
    cpu_s: float = Field(description="spent, or as expected where it was not tried")
    lifetime_usd: Usd | None = Field(description="by these bytes and this CPU alone")
    verdict: Literal["chosen", "beaten", "missed", "given up", "not tried", "failed"]
    reason: str = ""


class VariantResult(Frozen):
    """One file that was made."""

    name: str
    path: str = Field(description="relative to the output")
    format: Format
    width: int
    height: int
    bytes: int
    sha256: str
    frames: int = 1
    quality: float | None = Field(description="encoder's own quality; null where lossless")
    metric: Literal["ssimulacra2", "lossless", "source"]
    target: float = Field(description="the salient one where there are two floors")
    score: float | None = Field(
        description=(
            "with two floors that of the region nearer to its floor, on the scale of the salient "
            "one: background - background_target + salient_target"
        )
    )
    reached: bool = Field(description="is the score within -0.5 of the target")
    floors: FloorsResult | None = Field(default=None, description="null with one target")
    probes: int
    encoder: str = Field(description="library and version")
    cpu_s: float
    memo: bool = Field(default=False, description="taken from the memo, not made")
    kept_source: bool = Field(default=False, description="the source's own bytes, stripped")
    lifetime: LifetimeCost | None = Field(
        default=None, description="by the recipe's lifetime, this file's share of the views"
    )
    candidates: tuple[CandidateResult, ...] = Field(
        default=(), description="what was considered for this file, the chosen one first"
    )
    passed_over: tuple[Failure, ...] = Field(
        default=(),
        description="of several candidates, those whose encoder hung, crashed or ran out of memory",
    )
    notes: tuple[str, ...] = ()


class PictureSource(Frozen):
    """One format of a picture, as a browser is offered it."""

    format: Format
    share: float = Field(description="of views that it is expected to serve, 0 to 1")
    files: dict[str, int] = Field(
        description="paths relative to the output, to widths in px; the narrowest first"
    )


class Picture(Frozen):
    """Variants of one shape, as a page shows them: the browser takes format and width."""

    width: int = Field(description="of the largest file, px")
    height: int
    sources: tuple[PictureSource, ...] = Field(
        min_length=1, description="in the order they are offered; the last is the fallback"
    )
    unserved: float = Field(description="share of views that none of the formats serves, 0 to 1")
    placeholder: str | None = Field(
        default=None, description="CSS background to show while loading; null: none, or alpha"
    )
    html: str = Field(description="<picture> or <img>; paths are relative to the output")


class Face(Frozen):
    """A face; box in px of the oriented source."""

    x: int
    y: int
    width: int
    height: int
    score: float


class ColorShare(Frozen):
    """A dominant colour and the share of pixels near it."""

    hex: str
    share: float


class Features(Frozen):
    """What was seen in the image; null: not asked for."""

    width: int
    height: int
    frames: int = 1
    has_alpha: bool = False
    phash: str | None = Field(default=None, description="64-bit perceptual hash, hex")
    dhash: str | None = Field(default=None, description="64-bit difference hash, hex")
    colors: tuple[ColorShare, ...] | None = None
    sharpness: float | None = Field(default=None, description="variance of the Laplacian")
    entropy_bits: float | None = Field(default=None, description="of the luma histogram, 0-8")
    edge_density: float | None = Field(default=None, description="share of Canny edge pixels")
    faces: tuple[Face, ...] | None = None
    saliency_png: str | None = Field(
        default=None, description="base64 of a grey PNG, longest side 64 px, white = salient"
    )
    thumbhash: str | None = Field(default=None, description="base64 of the ThumbHash")
    notes: tuple[str, ...] = Field(default=(), description="what could not be seen, and why")


class StageUse(Frozen):
    """What one stage of a job used."""

    stage: str
    cpu_s: float = Field(description="own and children")
    wall_s: float
    gb_s: float = Field(default=0.0, description="resident memory times wall time, GB-seconds")
    cost_usd: Usd = Field(
        default=Decimal(0), description="of its CPU, and where it is paid, memory"
    )


class StageSpan(Frozen):
    """One passage through a stage: when it began, how long it took, and on what."""

    stage: str
    detail: str = Field(default="", description="the variant, with .format where one format only")
    began_s: float = Field(description="seconds after the receipt's began_at")
    wall_s: float = Field(description="with that of the passages inside it")
    cpu_s: float = Field(description="ditto; own and children")
    bytes: int = Field(default=0, description="fetched, encoded or stored; 0: none")
    worker: str = Field(
        default="", description="host and process id, where it is not the manifest's worker"
    )


class Receipt(Frozen):
    """What a job used, what that cost, and what the memo saved."""

    stages: tuple[StageUse, ...] = ()
    cpu_s: float = 0.0
    gb_s: float = 0.0
    peak_bytes: int = Field(
        default=0, description="most memory that one process held at once; 0: not known"
    )
    bytes_in: int = 0
    bytes_out: int = 0
    requests: dict[str, int] = Field(default_factory=dict, description="billed requests by kind")
    lines_usd: dict[str, Usd] = Field(
        default_factory=dict,
        description="cost by cause: cpu (the sum of the stages), and each kind of request",
    )
    cost_usd: Usd = Decimal(0)
    saved_usd: Usd = Field(default=Decimal(0), description="measured cost of what the memo spared")
    saved_cpu_s: float = 0.0
    memo_hits: int = 0
    price_book: str = ""
    machine: str = Field(default="", description="whose time was charged, and on which terms")
    began_at: float = Field(
        default=0.0, description="when the first span began, UTC seconds; 0: there is none"
    )
    spans: tuple[StageSpan, ...] = Field(
        default=(),
        description="the way through the stages in the attempt that ended the job, in time order; "
        "of more than 200, the longest",
    )


class Part(Frozen):
    """What one step of a job made: passed along the canvas, merged into the manifest."""

    schema_version: Literal[1] = SCHEMA_VERSION
    variants: tuple[VariantResult, ...] = ()
    failures: tuple[Failure, ...] = ()
    receipt: Receipt = Receipt()


class Plan(Frozen):
    """How the job was laid out, and why."""

    execution: Literal["memo", "fused", "fanout"]
    reason: str
    members: int = Field(default=0, description="chord members")


class Manifest(Frozen):
    """The answer to one job."""

    schema_version: Literal[1] = SCHEMA_VERSION
    job_id: str
    source: str
    output: str
    recipe: str
    tenant: str
    status: ManifestStatus
    sha256: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = Field(default=None, description="size of the source")
    variants: tuple[VariantResult, ...] = ()
    same_as: dict[str, str] = Field(
        default_factory=dict,
        description="variants not made because another has the same pixels: name to name",
    )
    pictures: tuple[Picture, ...] = Field(
        default=(), description="the variants as HTML for a page, one of each shape"
    )
    features: Features | None = None
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = Field(
        default=(),
        description="what was passed over in the source, and viewers left without a picture",
    )
    plan: Plan | None = None
    receipt: Receipt = Receipt()
    attempts: int = 1
    worker: str = ""
    finished_at: dt.datetime


class BatchSummary(Frozen):
    """Totals over the jobs of one batch."""

    schema_version: Literal[1] = SCHEMA_VERSION
    batch: str
    images: int
    done: int
    failed: int
    variants: int
    bytes_in: int
    bytes_out: int
    memo_hits: int
    cpu_s: float
    cost_usd: Usd
    saved_usd: Usd
    manifest: str
    report: str
