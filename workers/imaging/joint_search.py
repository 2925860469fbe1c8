"""The search for the quality and the strength that together just keep two floors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from .search import BELOW

if TYPE_CHECKING:
    from .codec import QualityScale
    from .floors import Floors
    from .region_score import RegionScores

ENOUGH: Final = 0.5
"""A background this little over what its floor allows ends the search."""

_AIM: Final = 0.2
_CAUTIOUS_AIM: Final = 0.6
_MARGIN: Final = 0.04
_CAUTIOUS_MARGIN: Final = 0.3
# Of what the salient score gains by a better quality, a treated background gains about this much.
_SHARED_GAIN: Final = 0.3
_STEEPEST, _FLATTEST = -30.0, -4.0
_REACH: Final = 1.1
_TELLING: Final = 0.05
_SAME: Final = 0.004


@dataclass(frozen=True, slots=True)
class Treated:
    """One encoding with a treated background, scored in full."""

    quality: float
    strength: float
    data: bytes
    scores: RegionScores


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a treatment may be expected to do, for the first probe.

    Attributes:
        strength: that should bring the background to its floor.
        strongest: more is never worth trying.
        fall: points that the background's score loses for a natural logarithm of strength.
        felt: points that the salient region loses to its treated surroundings.
    """

    strength: float
    strongest: float
    fall: float
    felt: float


class JointSearch:
    """Where to probe next, from the probes so far.

    The salient score hangs on the quality and hardly on the strength; the background's falls with
    the logarithm of the strength and rises a little with the quality. Each probe corrects both
    expectations, so that both are searched at once.

    Args:
        scale: the encoder's quality numbers.
        floors: to be kept, less at most 0.5.
        quality, scores: of uniform coding that keeps them.
        outlook: of the treatment.
    """

    def __init__(
        self,
        scale: QualityScale,
        floors: Floors,
        quality: float,
        scores: RegionScores,
        outlook: Outlook,
    ) -> None:
        self._scale = scale
        self._outlook = outlook
        self._salient = floors.salient - BELOW
        self._background = floors.background - BELOW
        self._probes: list[tuple[float, float, float, float]] = []
        self._start = quality, (scores.salient or 100.0) - outlook.felt

    def add(self, treated: Treated) -> None:
        """Learn from a probe."""
        salient, background = treated.scores.salient, treated.scores.background
        self._probes.append(
            (
                treated.quality,
                math.log(treated.strength),
                100.0 if salient is None else salient,
                100.0 if background is None else background,
            )
        )

    def next(self, *, last: bool = False) -> tuple[float, float] | None:
        """Quality and strength to try; None where nothing better is to be expected.

        The last probe is aimed with caution where none has kept both floors yet.
        """
        if not self._probes:
            quality = self._lowest(*self._start, _MARGIN)
            return quality, min(self._outlook.strength, self._outlook.strongest)
        kept = [one for one in self._probes if self._kept(one)]
        cautious = last and not kept
        quality = self._quality(_CAUTIOUS_MARGIN if cautious else _MARGIN)
        for tried, strength, _, background in kept:
            near = background <= self._background + ENOUGH or self._strongest(strength)
            if near and quality >= tried:
                return None
        strength = self._strength(quality, _CAUTIOUS_AIM if cautious else _AIM)
        if any(quality == tried and abs(strength - own) < _SAME for tried, own, *_ in self._probes):
            return None
        return quality, math.exp(strength)

    def _kept(self, probe: tuple[float, float, float, float]) -> bool:
        return probe[2] >= self._salient and probe[3] >= self._background

    def _strongest(self, strength: float) -> bool:
        return strength >= math.log(self._outlook.strongest) - _SAME

    def _quality(self, margin: float) -> float:
        """The lowest that should keep the salient floor, above what failed and not above a pass."""
        # Of each quality the latest: a stronger treatment may fail where a weaker one passed.
        latest = list({one[0]: one for one in self._probes}.values())
        passing = min((one for one in latest if one[2] >= self._salient), default=None)
        failing = max(
            (
                one
                for one in latest
                if one[2] < self._salient and (passing is None or one[0] < passing[0])
            ),
            default=None,
        )
        if passing and failing:
            ends = (failing[0], passing[0]), (failing[2], passing[2])
            return next(
                (
                    one
                    for one in self._scale.qualities
                    if failing[0] < one < passing[0]
                    and np.interp(one, *ends) >= self._salient + margin
                ),
                passing[0],
            )
        nearest = min(latest, key=lambda one: abs(one[2] - self._salient))
        wanted = self._lowest(nearest[0], nearest[2], margin)
        if passing:
            return min(wanted, passing[0])
        assert failing  # noqa: S101 (a probe passes or fails)
        above = (one for one in self._scale.qualities if one > failing[0])
        return max(wanted, next(above, failing[0]))

    def _lowest(self, quality: float, score: float, margin: float) -> float:
        """The lowest quality that should keep the salient floor, if ``quality`` scores so."""
        for one in self._scale.qualities:
            if self._expected(one, quality, score) >= self._salient + margin:
                return one
        return self._scale.qualities[-1]

    def _expected(self, quality: float, known: float, score: float) -> float:
        """The score at a quality from that of another, by the scale's typical distortions."""
        qualities, distortions = zip(*self._scale.typical, strict=True)
        logs = np.log(distortions)
        change = np.interp(quality, qualities, logs) - np.interp(known, qualities, logs)
        return 100.0 - (100.0 - score) * math.exp(float(change))

    def _strength(self, quality: float, aim: float) -> float:
        """Log of the strength that should bring the background to its floor at a quality."""
        goal = self._background + aim
        points: list[tuple[float, float]] = []
        far: dict[tuple[float, float], float] = {}
        for tried, strength, salient, background in self._probes:
            gain = _SHARED_GAIN * (self._expected(quality, tried, salient) - salient)
            points.append((strength, background + gain))
            # What is carried over from another quality is a guess, and tells less.
            far[points[-1]] = abs(points[-1][1] - goal) + abs(gain)
        points.sort(key=far.__getitem__)
        if all(score > goal for _, score in points):
            points.sort(reverse=True)
        (at, score), fall = points[0], self._outlook.fall
        others = [point for point in points[1:] if abs(point[0] - at) > _TELLING]
        across = [point for point in others if (point[1] - goal) * (score - goal) < 0]
        if others:
            other = (across or others)[0]
            fall = (other[1] - score) / (other[0] - at)
        wanted = at + (goal - score) / min(_FLATTEST, max(_STEEPEST, fall))
        wanted = min(at + _REACH, max(at - _REACH, wanted))
        return min(wanted, math.log(self._outlook.strongest))
