"""The hours of spend that a forecast rests upon: pure."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from .profile import DAY_H, HOUR, WEEK_H, Profile, autocorrelation

if TYPE_CHECKING:
    from collections.abc import Sequence

HISTORY_DAYS: Final = 28
_RECENT_H: Final = 1.5
"""Half-life of what counts for the rate now."""
_LASTS: Final = 0.9
"""Of a deviation, after an hour, before the history says otherwise."""
_MOST_LASTING: Final = 0.98
_LEAST_SHARE: Final = 0.05
_MOST_A_DAY: Final = 0.05
_DAMPED: Final = 0.95
"""Of its growth, what a day has of the day before's."""
_DOUBT_OF_GROWTH: Final = 2.0


@dataclass(frozen=True, slots=True)
class Growth:
    """Of the logarithm of the level in a day, and its standard error."""

    a_day: float
    error: float

    @staticmethod
    def factor(a_day: float, after_h: float) -> float:
        """Of the level, after so many hours of a growth that dies away."""
        return math.exp(a_day * (1 - _DAMPED ** (after_h / DAY_H)) / (1 - _DAMPED))


@dataclass(frozen=True, slots=True)
class History:
    """Nano-dollars in the whole hours since ``start``, and in the hour that now is in."""

    start: dt.datetime
    whole: list[float]
    part: float
    part_h: float
    """hours that ``part`` was spent in"""
    length_h: float
    """hours that were counted"""

    @classmethod
    def of(
        cls, hours: Sequence[tuple[dt.datetime, int]], now: dt.datetime, began: dt.datetime | None
    ) -> History:
        """What counts of ``hours``; ``began``: when the first of them began to be counted."""
        this = now.replace(minute=0, second=0, microsecond=0)
        oldest = this - dt.timedelta(days=HISTORY_DAYS)
        # What is corrected in a later hour than it was charged in may leave an hour below nothing.
        sums = {at: max(0.0, float(nano)) for at, nano in hours if oldest <= at <= this}
        start = min((at for at, nano in sums.items() if nano), default=this)
        whole = [sums.get(start + HOUR * hour, 0.0) for hour in range((this - start) // HOUR)]
        part_h, missing = (now - this) / HOUR, 0.0
        if began and start <= began < start + HOUR:
            missing = (began - start) / HOUR
            if whole:
                whole[0] /= max(_LEAST_SHARE, 1 - missing)
            else:
                part_h = max(0.0, part_h - missing)
        length_h = len(whole) - missing + part_h if whole else part_h
        return cls(start, whole, sums.get(this, 0.0), part_h, length_h)

    def without(self, growth: Growth) -> History:
        """As if the level had always been what it is now."""
        count = len(self.whole)
        levelled = [
            nano * math.exp(growth.a_day * (count - hour) / DAY_H)
            for hour, nano in enumerate(self.whole)
        ]
        return replace(self, whole=levelled)

    def growth(self) -> Growth:
        """From weeks that are compared with those before; none where they do not agree."""
        weeks = [
            sum(self.whole[end - WEEK_H : end])
            for end in range(len(self.whole), WEEK_H - 1, -WEEK_H)
        ]
        steps = [math.log(new / old) for new, old in itertools.pairwise(weeks) if new and old]
        if len(steps) < 2:  # noqa: PLR2004 (a single one may be anything)
            return Growth(0, 0)
        mean, error = statistics.fmean(steps), statistics.stdev(steps) / len(steps) ** 0.5
        worth = mean**2 / (mean**2 + _DOUBT_OF_GROWTH * error**2) if mean else 0.0
        a_day = max(-_MOST_A_DAY, min(_MOST_A_DAY, worth * mean / 7))
        return Growth(a_day, min(_MOST_A_DAY, math.hypot(a_day / 2, error / 7)))

    def rate_now(self, profile: Profile) -> float:
        """Nano-dollars an hour, the profile taken out; of the last hours the newest count most."""
        spent = self.part
        usual = profile.at(self.start + HOUR * len(self.whole)) * self.part_h
        counts = 0.5 ** (self.part_h / 2 / _RECENT_H)
        for back, nano in enumerate(reversed(self.whole[-DAY_H:]), 1):
            spent += counts * nano
            usual += counts * profile.at(self.start + HOUR * (len(self.whole) - back))
            counts *= 0.5 ** (1 / _RECENT_H)
        return spent / usual if usual else 0.0

    def lasting(self, profile: Profile) -> float:
        """What an hour leaves of a deviation from the profile, 0 to 1."""
        usual = [profile.at(self.start + HOUR * hour) for hour in range(len(self.whole))]
        mean = sum(self.whole) / sum(usual) if sum(usual) else 0.0
        off = [nano - mean * shape for nano, shape in zip(self.whole, usual, strict=True)]
        known = len(off) / (len(off) + DAY_H)
        seen = known * autocorrelation(off, 1) + (1 - known) * _LASTS
        return min(_MOST_LASTING, max(0.0, seen))

    def roughness(self) -> float:
        """Standard error of the hours' mean, relative to it; 0 where there is none."""
        mean = sum(self.whole) / len(self.whole) if self.whole else 0.0
        squares = sum((nano - mean) ** 2 for nano in self.whole)
        return math.sqrt(squares) / len(self.whole) / mean if mean else 0.0
