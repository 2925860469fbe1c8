"""pixfleet's file and the fixed encoder's nearest to it, and whom the figures favour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from .imaging.region_score import RegionScores

Verdict = Literal["pixfleet", "fixed", "even", "unmatched"]

EVEN_POINTS: Final = 0.5
"""A difference of SSIMULACRA2 up to this is no victory: the promise itself has this tolerance."""
EVEN_SHARE: Final = 0.02
"""Nor is such a share of the bytes: a step of a JPEG's quality is as much."""
_SLACK_POINTS: Final = 1.0
_SLACK_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Shown:
    """One encoding of the picture.

    Attributes:
        encoder: library, version and settings.
        quality: its number; None where there is none.
        data: the whole file.
        scores: of all its decoded pixels.
        score: the one that the promise is about: of all pixels, or of two floors the region nearer
            to its floor, on the scale of the salient one.
        cpu_s: what making it took; for pixfleet the whole search.
        reached: the promise is kept; always so for a fixed quality, which promises nothing.
        notes: as in a manifest.
    """

    encoder: str
    quality: float | None
    data: bytes
    scores: RegionScores
    score: float
    cpu_s: float
    reached: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """pixfleet under one promise, and the fixed encoder moved to its bytes and to its score.

    Attributes:
        promise: "75", or "80/65" for two floors.
    """

    promise: str
    pixfleet: Shown
    same_bytes: Shown
    same_score: Shown

    @property
    def points_at_same_bytes(self) -> float:
        """How much better pixfleet scores; negative where the fixed encoder does."""
        return self.pixfleet.score - self.same_bytes.score

    @property
    def saved_at_same_score(self) -> float:
        """Share of the fixed encoder's bytes that pixfleet saves; negative where it takes more."""
        return 1 - len(self.pixfleet.data) / len(self.same_score.data)

    @property
    def verdict_at_same_bytes(self) -> Verdict:
        """Who has the better picture."""
        ahead = 1 - len(self.pixfleet.data) / len(self.same_bytes.data)
        return _verdict(self.points_at_same_bytes, EVEN_POINTS, ahead, _SLACK_SHARE)

    @property
    def verdict_at_same_score(self) -> Verdict:
        """Who has the smaller file."""
        ahead = self.pixfleet.score - self.same_score.score
        return _verdict(self.saved_at_same_score, EVEN_SHARE, ahead, _SLACK_POINTS)


def _verdict(gain: float, even: float, ahead: float, slack: float) -> Verdict:
    """Whom ``gain`` speaks for; positive is pixfleet's.

    ``ahead`` is by how much pixfleet is ahead in what should have been the same: nobody wins by
    what the other had to give up for it.
    """
    if abs(gain) <= even:
        return "even" if abs(ahead) <= slack else "unmatched"
    if gain > 0:
        return "pixfleet" if ahead >= -slack else "unmatched"
    return "fixed" if ahead <= slack else "unmatched"
