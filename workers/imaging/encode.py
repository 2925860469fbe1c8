"""Every format at the promised quality, and the choice among them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pixfleet.workers.errors import EncodeError

from .candidate import Abandoned, Candidate, Trial, attempt
from .codec import Metadata
from .codecs import FORMATS, codec_versions
from .floors import FloorOriginal, Floors, FloorsOutcome
from .lessons import Lessons
from .original import Original, flattened
from .two_floors import attempt_floors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = [
    "EncodeRequest",
    "Encoded",
    "Floors",
    "FormatFailure",
    "Lessons",
    "SourceBytes",
    "codec_versions",
    "encode_variant",
    "flattened",
]

_LIKELY_SMALLEST_FIRST: Final = ("avif", "jxl", "webp", "jpeg", "png")
_CHEAPEST_FIRST: Final = ("jpeg", "jxl", "webp", "avif", "png")
_GRAPHICS_SMALLEST_FIRST: Final = ("webp", "png", "avif", "jxl", "jpeg")


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
        formats: of "jpeg", "webp", "avif", "jxl", "png".
        pick: "each" encodes every format, "smallest" returns the smallest that keeps the promise.
        target: SSIMULACRA2 that every variant reaches, less at most 0.5.
        max_probes: encodings a search may try, for each format.
        avif_speed: libavif's, 0 slowest to 10.
        background: sRGB under alpha where the format has none.
        icc: the profile the pixels are in, to be embedded; None for sRGB.
        exif: a small EXIF block to embed, without orientation.
        source: the source's bytes; kept instead of a variant of its format that is no smaller.
        floors: two targets, by region, in place of one; ``target`` is then the salient one.
    """

    formats: tuple[str, ...]
    pick: str
    target: float
    max_probes: int = 5
    avif_speed: int = 9
    background: tuple[int, int, int] = (255, 255, 255)
    icc: bytes | None = None
    exif: bytes | None = None
    source: SourceBytes | None = None
    floors: Floors | None = None

    def __post_init__(self) -> None:
        """Refuse what no caller should send.

        Raises:
            ValueError: an unknown format or pick, no format, no probe, or floors that are not
                those of the target.
        """
        unknown = set(self.formats) - set(FORMATS)
        if unknown or not self.formats:
            raise ValueError(f"formats {self.formats}: of {FORMATS}")
        if self.pick not in {"each", "smallest"}:
            raise ValueError(f"pick {self.pick!r}: each or smallest")
        if self.max_probes < 1:
            raise ValueError(f"max_probes {self.max_probes}: at least 1")
        if self.floors is not None and self.floors.salient != self.target:
            raise ValueError(f"target {self.target:g} is not the salient floor of {self.floors}")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One finished variant.

    Attributes:
        format: as requested.
        data: the whole file.
        width, height: in px.
        quality: the encoder's number, or the colours of a palette; None where there is none.
        metric: "ssimulacra2", "lossless" (the score is 100 by definition) or "source".
        target: SSIMULACRA2 asked for.
        score: SSIMULACRA2 of all decoded pixels of ``data``; None for the source's own bytes.
        reached: the score is at least ``target - 0.5``.
        probes: encodings tried for this format.
        encoder: library, version and settings.
        cpu_s: of this thread, searching included.
        kept_source: ``data`` are the source's own bytes.
        notes: what a reader of the manifest should know.
        frames: 1, or those of an animation.
        floors: how two floors are kept; ``score`` is then ``Floors.bound`` of both regions. None
            with one target, and for the source's own bytes.
    """

    format: str
    data: bytes
    width: int
    height: int
    quality: float | None
    metric: str
    target: float
    score: float | None
    reached: bool
    probes: int
    encoder: str
    cpu_s: float
    kept_source: bool
    notes: tuple[str, ...]
    frames: int = 1
    floors: FloorsOutcome | None = None


@dataclass(frozen=True, slots=True)
class FormatFailure:
    """A format that could not be made, and why."""

    format: str
    error: EncodeError


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
        With ``pick="each"`` one entry a format, in the order asked for. With "smallest" one entry:
        the smallest file within the promise, or the best score when none keeps it; what else was
        tried is in its notes.
    """
    if request.floors is None:
        original = Original(pixels, request.background, lessons)
    else:
        original = FloorOriginal(pixels, request.background, request.floors)
    if request.pick == "each":
        # The cheap searches first: what they learn of the image starts the dear ones nearer.
        order = sorted(set(request.formats), key=_CHEAPEST_FIRST.index)
        made = {name: _encoded(original, name, request) for name in order}
        return [made[name] for name in request.formats]
    return [_smallest(original, request)]


def _encoded(
    original: Original, name: str, request: EncodeRequest, bytes_to_beat: int | None = None
) -> Encoded | FormatFailure:
    """One format.

    Raises:
        Abandoned: it will not come below ``bytes_to_beat``.
    """
    trial = Trial(
        target=request.target,
        max_probes=request.max_probes,
        avif_speed=request.avif_speed,
        metadata=Metadata(request.icc, request.exif),
        bytes_to_beat=bytes_to_beat,
    )
    start_s = time.thread_time()
    floors: FloorsOutcome | None = None
    try:
        if isinstance(original, FloorOriginal):
            candidate, floors = attempt_floors(original, name, trial)
        else:
            candidate = attempt(original, name, trial)
    except EncodeError as error:
        return FormatFailure(name, error)
    return finished(candidate, original, request, time.thread_time() - start_s, floors)


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


def _smallest(original: Original, request: EncodeRequest) -> Encoded | FormatFailure:
    start_s = time.thread_time()
    best: Encoded | None = None
    failure: FormatFailure | None = None
    tried: list[str] = []
    order = _GRAPHICS_SMALLEST_FIRST if original.graphic else _LIKELY_SMALLEST_FIRST
    for name in sorted(request.formats, key=order.index):
        if name == "png" and not original.graphic and best is not None and best.reached:
            tried.append("png not tried: a photograph")
            continue
        to_beat = len(best.data) if best is not None and best.reached else None
        try:
            encoded = _encoded(original, name, request, to_beat)
        except Abandoned as abandoned:
            tried.append(f"{name} given up: about {abandoned.expected_bytes} bytes")
            continue
        if isinstance(encoded, FormatFailure):
            failure = encoded
            tried.append(f"{name} failed: {encoded.error.message}")
            continue
        missed = "" if encoded.reached else f" at {encoded.score:.1f} only"
        tried.append(f"{name} {len(encoded.data)} bytes{missed}")
        if best is None or _better(encoded, best):
            best = encoded
    if best is None:
        assert failure is not None  # noqa: S101 (a request has a format, and no format vanishes)
        return failure
    notes = (*best.notes, *([f"tried: {'; '.join(tried)}"] if len(request.formats) > 1 else []))
    return replace(best, cpu_s=time.thread_time() - start_s, notes=notes)


def _better(one: Encoded, other: Encoded) -> bool:
    if one.reached != other.reached:
        return one.reached
    if not one.reached:
        return (one.score or 0.0) > (other.score or 0.0)
    return len(one.data) < len(other.data)
