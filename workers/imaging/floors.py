"""The two-floor promise: one score for the salient region, a lower one for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .original import Original
from .region_score import RegionScorer, RegionScores
from .regions import depth, salient_region
from .search import BELOW
from .ssimulacra2 import Reference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Floors:
    """SSIMULACRA2 that the salient region and the background reach, less at most 0.5.

    Raises:
        ValueError: the background's is above the salient region's.
    """

    salient: float
    background: float

    def __post_init__(self) -> None:
        """Refuse floors that contradict their names."""
        if self.background > self.salient:
            raise ValueError(f"background {self.background:g} above salient {self.salient:g}")

    def bound(self, scores: RegionScores) -> float:
        """The score of the region that is nearer to its floor, on the scale of the salient one.

        It is at least ``salient - 0.5`` exactly where both floors are kept. A region without
        pixels binds nothing.
        """
        bounds: list[float] = []
        if scores.salient is not None:
            bounds.append(scores.salient)
        if scores.background is not None:
            bounds.append(scores.background - self.background + self.salient)
        return min(bounds, default=scores.whole)

    def kept(self, scores: RegionScores) -> bool:
        """Both floors hold."""
        return self.bound(scores) >= self.salient - BELOW


@dataclass(frozen=True, slots=True)
class FloorsOutcome:
    """How a variant keeps its two floors.

    Attributes:
        salient_target, background_target: SSIMULACRA2 asked for.
        salient_score, background_score: of all decoded pixels of the final bytes, by region; None
            where a region has no pixels.
        salient_share: share of the pixels that count as salient.
        worst_tile_score: the lowest of all tiles of 128 px; None for an image smaller than one.
        treatment: "uniform", "requantised" (JPEG coefficients) or "softened" (background pixels).
        strength: of the treatment: what a bit is worth in squares of quantiser steps, or the level
            below which waves were faint in 8-bit steps; 0 for uniform coding.
        uniform_bytes: what uniform coding took for the same two floors.
    """

    salient_target: float
    background_target: float
    salient_score: float | None
    background_score: float | None
    salient_share: float
    worst_tile_score: float | None
    treatment: str
    strength: float
    uniform_bytes: int


class FloorReference(Reference):
    """A reference whose one score is that of the region nearer to its floor (``Floors.bound``)."""

    def __init__(self, pixels: Pixels, region: Mask, floors: Floors) -> None:
        super().__init__(pixels)
        self.scorer = RegionScorer(self, region)
        self._floors = floors

    def score(self, pixels: Pixels) -> float:
        """As in ``Reference``, on the scale of the salient floor."""
        return self._floors.bound(self.scorer.score(pixels))


class FloorOriginal(Original):
    """An original under two floors: every search on it is a search for both.

    Args:
        pixels, background: as in ``Original``.
        floors: what each region reaches.
    """

    def __init__(self, pixels: Pixels, background: tuple[int, int, int], floors: Floors) -> None:
        super().__init__(pixels, background)
        self.floors = floors

    @cached_property
    def region(self) -> Mask:
        """Salient pixels."""
        return salient_region(self.pixels)

    @cached_property
    def depth(self) -> NDArray[np.float32]:
        """0 in the region to 1 deep in the background."""
        return depth(self.region)

    @cached_property
    def reference(self) -> FloorReference:
        """For candidates that keep alpha."""
        return FloorReference(self.pixels, self.region, self.floors)

    @cached_property
    def flat_reference(self) -> FloorReference:
        """For candidates on the background."""
        if not self.alpha:
            return self.reference
        return FloorReference(self.flat, self.region, self.floors)
