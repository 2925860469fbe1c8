"""What encoding gives: a finished variant, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pixfleet.workers.errors import EncodeError

    from .efforts import Seen
    from .floors import FloorsOutcome


@dataclass(frozen=True, slots=True)
class Considered:
    """One format at one effort of its encoder, tried or only reckoned with.

    Attributes:
        format, effort: which; the effort in the encoder's own number.
        quality: the encoder's; None where there is none.
        size: bytes of the finished file or as expected; None where nothing is known.
        score: SSIMULACRA2; None where it was not encoded to the end.
        cpu_s: spent or, where it was not tried, expected.
        verdict: "chosen", "beaten", "missed" the promise, "given up" in mid-search, "not tried" or
            "failed".
        reason: why, in words.
    """

    format: str
    effort: int
    quality: float | None
    size: int | None
    score: float | None
    cpu_s: float
    verdict: str
    reason: str = ""


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
        probes: encodings tried for this file.
        encoder: library, version and settings.
        cpu_s: of this thread, searching and all that was tried beside it included.
        kept_source: ``data`` are the source's own bytes.
        notes: what a reader of the manifest should know.
        frames: 1, or those of an animation.
        floors: how two floors are kept; ``score`` is then ``Floors.bound`` of both regions. None
            with one target, and for the source's own bytes.
        passed_over: of several formats, those lost this time that another time may not be.
        considered: every candidate for this file, the chosen one among them.
        seen: what the search tells of the encoders' efforts.
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
    passed_over: tuple[FormatFailure, ...] = ()
    considered: tuple[Considered, ...] = ()
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class FormatFailure:
    """A format that could not be made, and why."""

    format: str
    error: EncodeError
