"""Every format at the promised quality, and the choice among them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from pixfleet.workers.errors import EncodeError

from .attempts import contained, unwatched
from .candidate import Candidate, Trial, attempt
from .cap import capped
from .choice import Choice
from .codec import Metadata
from .codecs import FORMATS, codec_versions
from .efforts import EffortCurves
from .encoded import Considered, Encoded, FormatFailure
from .encoder_memory import check_memory
from .floors import FloorOriginal, Floors, FloorsOutcome
from .goal import FEWEST_AT_LEAST_EFFORT, Goal
from .lessons import Lessons
from .original import Original, flattened
from .search import BELOW
from .two_floors import attempt_floors, uniform_outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from .attempts import Watch

    Pixels = NDArray[np.uint8]

__all__ = [
    "Considered",
    "EffortCurves",
    "EncodeRequest",
    "Encoded",
    "Floors",
    "FormatFailure",
    "Goal",
    "Lessons",
    "SourceBytes",
    "codec_versions",
    "encode_variant",
    "flattened",
]

_CHEAPEST_FIRST: Final = ("jpeg", "jxl", "webp", "avif", "heic", "png")


@dataclass(frozen=True, slots=True)
class SourceBytes:
    """The source's own file, stripped of metadata, when it could stand for the variant.

    Attributes:
        format: as in requests.
        data: the whole file.
        width, height: its size in px.
    """

    format: str
    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class EncodeRequest:
    """What is wanted of one set of pixels.

    Attributes:
        formats: of "jpeg", "webp", "avif", "jxl", "heic", "png".
        pick: "each" makes every format, "best" the one that serves the goal within the promise.
        target: SSIMULACRA2 that every variant reaches, less at most 0.5.
        max_probes: encodings a search may try, for each format; under two floors that of a
            treated background may try as many again.
        goal: what is to be least, in choosing formats and the efforts of their encoders.
        curves: what to expect of those efforts.
        background: sRGB under alpha where the format has none.
        icc: the profile the pixels are in, to be embedded; None for sRGB.
        exif: a small EXIF block to embed, without orientation.
        source: the source's bytes; kept instead of a variant of its format that is no smaller.
        max_bytes: no file is larger, whatever that costs in quality.
        floors: two targets, by region, in place of one; ``target`` is then the salient one.
        max_encoder_bytes: memory that an encoder may take, by ``encoder_memory``; None: any.
        watch: called with each format, surrounds its attempt, and may refuse it (EncodeError).
    """

    formats: tuple[str, ...]
    pick: str
    target: float
    max_probes: int = 5
    goal: Goal = FEWEST_AT_LEAST_EFFORT
    curves: EffortCurves = field(default_factory=EffortCurves)
    background: tuple[int, int, int] = (255, 255, 255)
    icc: bytes | None = None
    exif: bytes | None = None
    source: SourceBytes | None = None
    max_bytes: int | None = None
    floors: Floors | None = None
    max_encoder_bytes: int | None = None
    watch: Watch = unwatched

    def __post_init__(self) -> None:
        """Refuse what no caller should send.

        Raises:
            ValueError: an unknown format or pick, no format, no probe, or floors that are not
                those of the target.
        """
        unknown = set(self.formats) - set(FORMATS)
        if unknown or not self.formats:
            raise ValueError(f"formats {self.formats}: of {FORMATS}")
        if self.pick not in {"each", "best"}:
            raise ValueError(f"pick {self.pick!r}: each or best")
        if self.max_probes < 1:
            raise ValueError(f"max_probes {self.max_probes}: at least 1")
        if self.floors is not None and self.floors.salient != self.target:
            raise ValueError(f"target {self.target:g} is not the salient floor of {self.floors}")


def encode_variant(
    pixels: Pixels, request: EncodeRequest, lessons: Lessons | None = None
) -> list[Encoded | FormatFailure]:
    """Encode one image as its request says.

    Args:
        pixels: (H, W, 3) sRGB or (H, W, 4) straight-alpha sRGB, uint8 (in the space of
            ``request.icc`` where that is given).
        request: formats, promise and metadata.
        lessons: one object for all sizes of an image: each starts from what the others learned.

    Returns:
        With ``pick="each"`` one entry a format, in the order asked for. With "best" one entry: the
        file within the promise that serves the goal, or the best score when none keeps it. Either
        way ``Encoded.considered`` has what else was tried.
    """
    if request.floors is None:
        original = Original(pixels, request.background, lessons)
    else:
        original = FloorOriginal(pixels, request.background, request.floors)
    if request.pick == "each":
        # The cheap searches first: what they learn of the image starts the dear ones nearer.
        order = sorted(set(request.formats), key=_CHEAPEST_FIRST.index)
        made = {name: _best(original, (name,), request) for name in order}
        return [made[name] for name in request.formats]
    return [_best(original, request.formats, request)]


def _best(
    original: Original, formats: Sequence[str], request: EncodeRequest
) -> Encoded | FormatFailure:
    attempt_one = partial(_encoded, original, request)
    return Choice(original, request.goal, request.curves, attempt_one).of(formats)


def _encoded(
    original: Original,
    request: EncodeRequest,
    name: str,
    effort: int,
    bytes_to_beat: int | None,
    *,
    near: float | None,
) -> Encoded | FormatFailure:
    """One format at one effort.

    Raises:
        Abandoned: it will not come below ``bytes_to_beat``.
    """
    trial = Trial(
        target=request.target,
        max_probes=request.max_probes,
        effort=effort,
        metadata=Metadata(request.icc, request.exif),
        bytes_to_beat=bytes_to_beat,
        near=near,
    )
    start_s = time.thread_time()
    try:
        with contained(name, request.watch):
            px = original.width * original.height
            check_memory(name, effort, px, request.max_encoder_bytes)
            candidate, floors = _candidate(original, name, trial, request.max_bytes)
    except EncodeError as error:
        return FormatFailure(name, error)
    return finished(candidate, original, request, time.thread_time() - start_s, floors)


def _candidate(
    original: Original, name: str, trial: Trial, max_bytes: int | None
) -> tuple[Candidate, FloorsOutcome | None]:
    floors: FloorsOutcome | None = None
    if isinstance(original, FloorOriginal):
        candidate, floors = attempt_floors(original, name, trial)
    else:
        candidate = attempt(original, name, trial)
    if max_bytes and len(candidate.data) > max_bytes:
        candidate, decoded = capped(original, candidate, trial, max_bytes)
        if isinstance(original, FloorOriginal):
            floors, bound = uniform_outcome(original, name, decoded, len(candidate.data))
            candidate = replace(candidate, score=bound, reached=bound >= trial.target - BELOW)
    return candidate, floors


def finished(
    candidate: Candidate,
    original: Original,
    request: EncodeRequest,
    cpu_s: float,
    floors: FloorsOutcome | None = None,
) -> Encoded:
    """The candidate as a variant, or the source's own bytes where those are no larger."""
    encoded = Encoded(
        format=candidate.format,
        data=candidate.data,
        width=original.width,
        height=original.height,
        quality=candidate.quality,
        metric=candidate.metric,
        target=request.target,
        score=candidate.score,
        reached=candidate.reached,
        probes=candidate.probes,
        encoder=candidate.encoder,
        cpu_s=cpu_s,
        kept_source=False,
        notes=candidate.notes,
        floors=floors,
    )
    source = request.source
    if source is None or source.format != encoded.format or len(source.data) > len(encoded.data):
        return encoded
    note = f"kept the source's {len(source.data)} bytes: encoding it again took {len(encoded.data)}"
    return replace(
        encoded,
        data=source.data,
        width=source.width,
        height=source.height,
        quality=None,
        metric="source",
        score=None,
        reached=True,
        encoder="source",
        kept_source=True,
        notes=(note,),
        floors=None,
    )
