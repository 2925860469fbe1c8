"""The contract: what producers send, what workers answer, and the names of the tasks between them.

Every model is frozen and refuses unknown fields, so that a misspelt option is an error with a path
and never a silent default. The JSON Schema of each is committed in ``docs/schema/``.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from .audience import AUDIENCE
from .urls import file_name, shown

SCHEMA_VERSION: Final = 1
"""Version of every message and manifest; raised when a field changes its meaning or goes away."""

TASK_PREPARE: Final = "pixfleet.v1.prepare"
TASK_ENCODE: Final = "pixfleet.v1.encode"
TASK_FINALIZE: Final = "pixfleet.v1.finalize"
TASK_SUMMARIZE: Final = "pixfleet.v1.summarize"
TASK_NOTIFY: Final = "pixfleet.v1.notify"
TASK_TIDY: Final = "pixfleet.v1.tidy"

Format = Literal["jpeg", "webp", "avif", "jxl", "heic", "png"]
Fit = Literal["fit", "cover", "fill", "smart", "pad", "crop"]
Objective = Literal["cheapest", "smallest", "fastest"]
FeatureName = Literal[
    "phash", "dhash", "colors", "sharpness", "entropy", "edges", "faces", "saliency", "thumbhash"
]

SUFFIXES: Final[dict[str, str]] = {
    "jpeg": "jpg",
    "webp": "webp",
    "avif": "avif",
    "jxl": "jxl",
    "heic": "heic",
    "png": "png",
}

Audience = Annotated[
    dict[Format, Annotated[float, Field(ge=0, le=1)]],
    AfterValidator(lambda given: {**AUDIENCE, **given}),
]
"""Share of viewers, 0 to 1, that accept each format; the world's for formats that are left out."""


class ContractError(ValueError):
    """A message does not follow the contract; says where (a path) and why."""

    code: ClassVar[str] = "contract_invalid"
    hint: ClassVar[str] = "docs/schema/image-job.json is the contract; send what it describes"


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
    pick: Literal["each", "best"] = Field(
        default="each",
        description="make every format, or only the one that serves the recipe's objective best",
    )
    max_bytes: int | None = Field(
        default=None,
        ge=1,
        description="no file is larger, even where that costs the promised quality",
    )
    optional: bool = Field(
        default=False, description="may be left out while a budget asks for thrift"
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
    max_probes: int = Field(
        default=5,
        ge=2,
        le=12,
        description=(
            "encodes tried per format and effort; with two floors as many again for the background"
        ),
    )
    objective: Objective = Field(
        default="cheapest",
        description=(
            "what formats and encoder efforts are chosen by: the least cost over the lifetime, "
            "the fewest bytes, or the least CPU"
        ),
    )
    retention_months: float = Field(
        default=12, ge=0, le=1_200, description="how long the variants are kept"
    )
    views: int = Field(
        default=1, ge=0, description="how often each variant is sent in all that time"
    )
    price_book: str = Field(
        default="",
        description="a price book's name or .toml path on the workers; empty: the fleet's",
    )
    max_cpu_s_per_mp: float = Field(
        default=10,
        ge=0,
        le=600,
        description=(
            "CPU seconds per megapixel that a variant may take for higher efforts of its encoders; "
            "0: always the least effort"
        ),
    )
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
    audience: Audience = Field(
        default=dict(AUDIENCE),
        description=(
            "share of viewers, 0 to 1, that accept each format; "
            "left out: the world's, see config/audience.py"
        ),
    )
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
    source: str = Field(
        min_length=1, description="path, file://, s3:// or https:// URL of the image"
    )
    recipe: Annotated[
        Annotated[str, Tag("name")] | Annotated[Recipe, Tag("given")],
        Discriminator(lambda recipe: "name" if isinstance(recipe, str) else "given"),
    ] = Field(default="web", description="a recipe's name, or the recipe")
    output: str = Field(min_length=1, description="folder or s3:// prefix for the results")
    name: Annotated[str, AfterValidator(_relative)] | None = Field(
        default=None, description="sub-folder of the output; the source's file name when absent"
    )
    source_root: str | None = Field(
        default=None, description="folder that the resolved source must not leave"
    )
    tenant: str = Field(default="default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    idempotency_key: str | None = Field(default=None, max_length=200)
    queue: Literal["interactive", "bulk"] = "bulk"
    deadline_s: float | None = Field(
        default=None,
        gt=0,
        description="seconds from its submission within which a worker must have taken it up, "
        "or it fails",
    )
    batch: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    webhook: str | None = Field(
        default=None,
        max_length=2_000,
        pattern=r"^https?://[^/]",
        description="https:// URL that is told, signed, when the job has ended",
    )

    @property
    def output_name(self) -> str:
        """Where below ``output`` the variants go."""
        own = file_name(self.source) or PurePosixPath(self.source.split("://", 1)[-1]).name
        return self.name or (own if own not in ("", "..") else "image")

    @property
    def shown_source(self) -> str:
        """The source without what may be secret in it; what ledger, manifest and logs hold."""
        return shown(self.source)


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
