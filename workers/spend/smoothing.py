"""Exponential smoothing of blocks of spend, and paths into the time ahead: pure.

Source: Hyndman, Koehler, Ord and Snyder, "Forecasting with Exponential Smoothing" (2008), chapters
2 (simple smoothing as a model of one source of error) and 6 (intervals by drawing from its errors).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .history import Growth
from .profile import HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .history import History
    from .profile import Profile

PATHS: Final = 400
_SEED: Final = 1
_WEIGHTS: Final = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_UNFITTED: Final = 0.2
_PRICE_OF_WEIGHT: Final = 0.2
"""A level that follows faster has to err less by more than this."""
_SUPPOSED: Final = (-0.6, -0.3, 0.0, 0.3, 0.6)
"""Errors, as shares of the level, that are drawn along with those seen."""
_SUPPOSED_CHANCE: Final = 0.4
_LEVEL_ERROR: Final = 0.7
"""Of the level after no history; after a day half of that, after four a fifth."""
_MOST_ROUGH: Final = 1.5
_LEAST_SCALE: Final = 0.25
"""Of the mean: errors are relative to the level, or to this if it is below."""
_LEAST_SHAPE: Final = 0.02
"""Of a block: where next to nothing is usual, what came says next to nothing about the level."""


@dataclass(frozen=True, slots=True)
class Smoothed:
    """The level, nano-dollars an hour with the profile taken out, and how it has erred."""

    level: float
    weight: float
    block_h: int
    scale: float
    """least that errors are relative to"""
    errors: list[float]
    chances: list[float]

    @property
    def own_error(self) -> float:
        """Standard error of the level itself, relative to it."""
        squares = sum(e * e * c for e, c in zip(self.errors, self.chances, strict=True))
        return math.sqrt(self.weight / (2 - self.weight) * squares / sum(self.chances))


@dataclass(frozen=True, slots=True)
class Ahead:
    """Hours to come.

    Attributes:
        profiles: for each hour its usual share, in ways between which the history does not decide.
        extra: nano-dollars that the rate now adds to, or takes from, each.
    """

    profiles: tuple[Sequence[float], ...]
    extra: Sequence[float]


def smooth(history: History, profile: Profile, block_h: int) -> Smoothed:
    """The level by the weight that would have forecast the history's own blocks best."""
    count = len(history.whole)
    usual = [profile.at(history.start + HOUR * hour) for hour in range(count + 1)]
    blocks = [
        (sum(history.whole[end - block_h : end]), sum(usual[end - block_h : end]))
        for end in range(count - (count // block_h - 1) * block_h, count + 1, block_h)
    ]
    if len(blocks) < 2:  # noqa: PLR2004 (nothing to fit to)
        shapes = sum(usual[:-1]) + usual[-1] * history.part_h
        level = (sum(history.whole) + history.part) / shapes if shapes else 0.0
        chances = [1.0] * len(_SUPPOSED)
        return Smoothed(level, _UNFITTED, block_h, level, list(_SUPPOSED), chances)
    least = _LEAST_SHAPE * block_h
    levels = [spent / max(shape, least) for spent, shape in blocks]
    shares = [max(shape, least) / block_h for _, shape in blocks]
    scale = _LEAST_SCALE * sum(spent for spent, _ in blocks) / sum(shares) / block_h
    fits = [(*_follow(levels, shares, weight, scale), weight) for weight in _WEIGHTS]
    level, errors, _, weight = min(fits, key=lambda fit: fit[2] * (1 + _PRICE_OF_WEIGHT * fit[3]))
    chances = [*shares[1:], *[_SUPPOSED_CHANCE] * len(_SUPPOSED)]
    return Smoothed(level, weight, block_h, scale, [*errors, *_SUPPOSED], chances)


def _follow(
    levels: list[float], shares: list[float], weight: float, scale: float
) -> tuple[float, list[float], float]:
    """The level after all blocks, each one's relative error, and the sum of squares."""
    level, known = levels[0], shares[0]
    errors: list[float] = []
    squares = 0.0
    for seen, share in zip(levels[1:], shares[1:], strict=True):
        error = seen - level
        errors.append(error / max(level, scale) if scale else 0.0)
        squares += share * error * error
        known += share  # a mean of all blocks, until the weight is more than their part in it
        level += max(1 - (1 - weight) ** share, share / known) * error
    return level, errors, squares


def paths(smoothed: Smoothed, ahead: Ahead, growth: Growth, history: History) -> list[float]:
    """Nano-dollars to come on each of 400 paths, sorted; the same for the same question."""
    if not smoothed.level and not smoothed.scale:
        return [0.0] * PATHS
    chance = random.Random(_SEED)  # noqa: S311 (no secret)
    size, hours = smoothed.block_h, len(ahead.extra)
    cuts = [slice(at, min(at + size, hours)) for at in range(0, hours, size)]
    extra = [sum(ahead.extra[cut]) for cut in cuts]
    kinds = [[sum(shapes[cut]) for cut in cuts] for shapes in ahead.profiles]
    rough = max(min(1.0, smoothed.own_error), min(_MOST_ROUGH, history.roughness()))
    spread = math.hypot(_LEVEL_ERROR / (1 + history.length_h / 24), rough)
    ends: list[float] = []
    for path in range(PATHS):
        level, total = smoothed.level, 0.0
        a_day = chance.gauss(growth.a_day, growth.error)
        drawn = chance.choices(smoothed.errors, smoothed.chances, k=len(cuts))
        shapes = kinds[path % len(kinds)]
        for cut, shape, more, error in zip(cuts, shapes, extra, drawn, strict=True):
            shift = error * max(level, smoothed.scale)
            grown = Growth.factor(a_day, (cut.start + cut.stop) / 2)
            total += max(0.0, (level + shift) * shape * grown + more)
            level = max(0.0, level + smoothed.weight * (cut.stop - cut.start) / size * shift)
        ends.append(total * math.exp(chance.gauss(0, spread)))
    return sorted(ends)
