"""The contract: what producers send, what workers answer, and the names of the tasks between them.

Every model is frozen and refuses unknown fields, so that a misspelt option is an error with a path
and never a silent default. The JSON Schema of each is committed in ``docs/schema/``.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 (pydantic reads annotations at run time)
import re
from decimal import Decimal, InvalidOperation
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    ValidationError,
    model_validator,
)

SCHEMA_VERSION: Final = 1
"""Version of every message and manifest; raised when a field changes its meaning or goes away."""

TASK_PREPARE: Final = "pixfleet.v1.prepare"
TASK_ENCODE: Final = "pixfleet.v1.encode"
TASK_FINALIZE: Final = "pixfleet.v1.finalize"
TASK_SUMMARIZE: Final = "pixfleet.v1.summarize"

Format = Literal["jpeg", "webp", "avif", "jxl", "png"]
Fit = Literal["fit", "cover", "fill", "smart", "pad", "crop"]
FeatureName = Literal[
    "phash", "dhash", "colors", "sharpness", "entropy", "edges", "faces", "saliency", "thumbhash"
]
JobState = Literal["queued", "running", "done", "failed"]
ManifestStatus = Literal["done", "partial", "failed"]

SUFFIXES: Final[dict[str, str]] = {
    "jpeg": "jpg",
    "webp": "webp",
    "avif": "avif",
    "jxl": "jxl",
    "png": "png",
}


class ContractError(ValueError):
    """A message does not follow the contract; says where (a path) and why."""


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


class Frozen(BaseModel):
    """Base of every model of the contract: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Floors(Frozen):
    """A promise in two parts: what catches the eye, and the rest, each scored by itself.

    Salient are faces first, then text and strong edges, then detail.
    """

    salient: float = Field(ge=10, le=100, description="SSIMULACRA2 of the salient region")
    background: float = Field(ge=10, le=100, description="SSIMULACRA2 of all other pixels")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.background > self.salient:
            raise ValueError(
                f"background = {self.background:g} above salient = {self.salient:g}: "
                "the salient floor is the higher one"
            )
        return self

    def __str__(self) -> str:
        return f"{self.salient:g}/{self.background:g}"


Quality = Annotated[
    Annotated[float, Field(ge=10, le=100), Tag("number")] | Annotated[Floors, Tag("floors")],
    Discriminator(lambda quality: "floors" if isinstance(quality, (dict, Floors)) else "number"),
]
"""One SSIMULACRA2 for all pixels, or two floors."""


class VariantSpec(Frozen):
    """One derivative that a recipe asks for.

    ``width`` and ``height`` span the box in px; ``fit`` says how the image meets it:

    - ``fit``: as large as possible inside the box (either side may be absent)
    - ``cover``: as small as possible around the box, nothing cut off
    - ``fill``: covers the box exactly, the overhang cut off around the centre
    - ``smart``: as ``fill``, the window placed where the image is most salient
    - ``pad``: as ``fit``, then padded to the box with the recipe's background
    - ``crop``: the box cut out of the centre, no scaling
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")
    width: int | None = Field(default=None, ge=1, le=65_535, description="box width, px")
    height: int | None = Field(default=None, ge=1, le=65_535, description="box height, px")
    fit: Fit = "fit"
    enlarge: bool = Field(default=False, description="may the image be scaled up")
    formats: tuple[Format, ...] = Field(min_length=1)
    pick: Literal["each", "smallest"] = Field(
        default="each", description="make every format, or only the smallest that passes"
    )
    quality: Quality | None = Field(
        default=None,
        description="SSIMULACRA2 target, or {salient, background}; the recipe's when absent",
    )

    @model_validator(mode="after")
    def _box_suits_fit(self) -> Self:
        if self.fit in ("fill", "smart", "pad", "crop") and not (self.width and self.height):
            raise ValueError(f"fit = {self.fit!r} needs both width and height")
        if len(set(self.formats)) != len(self.formats):
            raise ValueError("formats names one format twice")
        return self


class Recipe(Frozen):
    """What to make of an image: variants, features, and the promise on visual quality."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")
    description: str = ""
    quality: Quality = Field(
        default=75,
        description=(
            "SSIMULACRA2 that each variant reaches (-0.5/+1), or {salient, background}: "
            "one floor for what catches the eye and a lower one for the rest"
        ),
    )
    max_probes: int = Field(default=5, ge=2, le=12, description="encodes tried per variant")
    avif_speed: int = Field(default=9, ge=0, le=10, description="0 slowest and smallest")
    variants: tuple[VariantSpec, ...] = ()
    features: tuple[FeatureName, ...] = ()
    keep: tuple[Literal["icc", "copyright"], ...] = Field(
        default=(), description="metadata to keep; all other metadata is stripped"
    )
    animation: Literal["keep", "first", "refuse"] = Field(
        default="keep",
        description=(
            "keep: animated where the format can, first frame with a note elsewhere; "
            "first: first frame only; refuse: fail the image"
        ),
    )
    background: str = Field(
        default="#ffffff", pattern=r"^#[0-9a-fA-F]{6}$", description="under alpha, and for pad"
    )
    linear_light: bool = Field(default=False, description="resize in linear light, 4x the CPU")
    execution: Literal["auto", "fused", "fanout"] = Field(
        default="auto",
        description="one task for all, a chord member per variant, or let the planner decide",
    )

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        names = [variant.name for variant in self.variants]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"variants share a name: {', '.join(sorted(twice))}")
        if not self.variants and not self.features:
            raise ValueError("a recipe needs at least one variant or feature")
        return self


def _relative(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\\" in value or "\0" in value or not path.parts:
        raise ValueError("must be a relative path that stays below the output, without '..'")
    return str(path)


class ImageJob(Frozen):
    """One image to process."""

    schema_version: Literal[1] = SCHEMA_VERSION
    source: str = Field(min_length=1, description="path, file:// or s3:// URL of the image")
    recipe: Annotated[
        Annotated[str, Tag("name")] | Annotated[Recipe, Tag("given")],
        Discriminator(lambda recipe: "name" if isinstance(recipe, str) else "given"),
    ] = Field(default="web", description="a recipe's name, or the recipe")
    output: str = Field(min_length=1, description="folder or s3:// prefix for the results")
    name: Annotated[str, BeforeValidator(_relative)] | None = Field(
        default=None, description="sub-folder of the output; the source's file name when absent"
    )
    source_root: str | None = Field(
        default=None, description="folder that the resolved source must not leave"
    )
    tenant: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    idempotency_key: str | None = Field(default=None, max_length=200)
    queue: Literal["interactive", "bulk"] = "bulk"
    batch: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,64}$")

    @property
    def output_name(self) -> str:
        """Where below ``output`` the variants go."""
        own = PurePosixPath(self.source.split("://", 1)[-1]).name
        return self.name or (own if own not in ("", "..") else "image")


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
            "requantised: excess spacing in quantiser steps; softened: encoder qualities below "
            "the variant's; uniform: 0"
        )
    )
    uniform_bytes: int = Field(description="what uniform coding took for the same floors")


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
    notes: tuple[str, ...] = ()


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


class Receipt(Frozen):
    """What a job used, what that cost, and what the memo saved."""

    stages: tuple[StageUse, ...] = ()
    cpu_s: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    requests: dict[str, int] = Field(default_factory=dict, description="billed requests by kind")
    lines_usd: dict[str, Usd] = Field(default_factory=dict, description="cost by cause")
    cost_usd: Usd = Decimal(0)
    saved_usd: Usd = Field(default=Decimal(0), description="measured cost of what the memo spared")
    saved_cpu_s: float = 0.0
    memo_hits: int = 0
    price_book: str = ""


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
    features: Features | None = None
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = Field(default=(), description="what was passed over in the source")
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


_TAGS: Final = frozenset({"number", "floors"})
"""Parts of pydantic's paths that no message has."""


def explain(error: ValidationError) -> str:
    """Every fault of a message on a line: path, reason."""
    lines: list[str] = []
    for fault in error.errors(include_url=False):
        path = ".".join(str(part) for part in fault["loc"] if part not in _TAGS) or "(message)"
        lines.append(f"{path}: {re.sub('^Value error, ', '', fault['msg'])}")
    return "; ".join(lines)


def read_job(message: dict[str, Any]) -> ImageJob:
    """The job in a message.

    Raises:
        ContractError: an unknown version, an unknown field or a wrong value, with its path.
    """
    version = message.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise ContractError(
            f"schema_version: {version!r} is not understood; this worker speaks {SCHEMA_VERSION}. "
            "Upgrade the workers before the producers"
        )
    try:
        return ImageJob.model_validate(message)
    except ValidationError as error:
        raise ContractError(explain(error)) from None
