"""Is one setting better than another, or is it the machine's noise?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median, stdev
from typing import TYPE_CHECKING, Final

from .extrapolate import student

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST_GAIN: Final = 0.03
"""Share of the cost below which a setting is not worth being set, however sure it is."""
_WRONGLY: Final = 0.05
"""Chance that settings which are all alike have one called better."""
_FEWEST_ROUNDS: Final = 2


@dataclass(frozen=True, slots=True)
class Gain:
    """Of a value against the present one; shares of the present one's cost, below 0: dearer.

    Attributes:
        share: median of the rounds' gains.
        noise: what chance alone may make of it; infinite with one pair.
    """

    share: float
    noise: float

    @property
    def sure(self) -> bool:
        """It is beyond noise, and worth a setting."""
        return self.share > max(self.noise, LEAST_GAIN)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which value to take, and the gain of each other than the present one, by so many pairs."""

    chosen: str
    gains: dict[str, Gain]
    pairs: int


def judge(
    costs: Mapping[str, Sequence[float]], present: str, eligible: frozenset[str] | None = None
) -> Verdict:
    """The cheapest of the values that are surely cheaper than the present one, else that one.

    ``costs`` are each value's in round after round, or image after image, all above 0. They are
    compared pair by pair: what slows a machine down for a minute slows all values of that round.
    Noise is the one-sided bound of Student's t for the logarithms of their ratios, by the number
    of values that could win. Only ``eligible`` values can (None: all).

    Raises:
        ValueError: a value has not been measured in every round, or in none.
    """
    rounds = len(costs[present])
    if not rounds or any(len(one) != rounds for one in costs.values()):
        raise ValueError("every value needs a cost in every round")
    others = [value for value in costs if value != present]
    gains: dict[str, Gain] = {}
    for value in others:
        pairs = zip(costs[value], costs[present], strict=True)
        ratios = [math.log(own / base) for own, base in pairs]
        noise = math.inf
        if rounds >= _FEWEST_ROUNDS:
            bound = student(1 - _WRONGLY / len(others), rounds - 1)
            noise = bound * stdev(ratios) / math.sqrt(rounds)
        gains[value] = Gain(1 - math.exp(median(ratios)), noise)
    better = [
        value
        for value, gain in gains.items()
        if gain.sure and (eligible is None or value in eligible)
    ]
    chosen = max(better, key=lambda value: gains[value].share, default=present)
    return Verdict(chosen, gains, rounds)
