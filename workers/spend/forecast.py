"""What will be spent when a period ends, from the hours before: pure.

Growth is taken out of the hours, then the profile, which is the usual course of a day and a week as
far as the history shows one. What is left is cut into blocks as long as what is left of the period,
a day at most, and smoothed. The rate now, that of the last hours, goes over into the smoothed level
as fast as deviations have died away before. The interval is that of paths which draw their errors
from the history's. Little history is worth little: the profile is shrunk, broad errors are drawn
along with those seen, and each path has an error of the level that falls with the history's length.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import from_nano, to_nano

from .history import Growth, History
from .profile import DAY_H, HOUR, Profile
from .smoothing import PATHS, Ahead, paths, smooth

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from decimal import Decimal

_LOW, _HIGH = int(0.05 * PATHS), int(0.95 * PATHS)
_LEAST_AHEAD_H: Final = 1


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of one owner in one period."""

    rate_usd_per_h: Decimal
    """now: of the last hours, the newest the most, as it usually is at this hour"""
    expected_usd: Decimal
    """when the period ends"""
    low_usd: Decimal
    high_usd: Decimal
    """in 9 cases of 10 it ends between the two"""
    history_h: float
    """hours that this rests upon"""
    course: tuple[tuple[dt.datetime, int], ...]
    """expected nano-dollars in the period: now, at each full hour, at the end"""

    def reaches(self, limit_usd: Decimal) -> dt.datetime | None:
        """When spend is expected to reach the limit; None: not in this period."""
        limit = to_nano(limit_usd)
        place = bisect.bisect_left(self.course, limit, key=lambda point: point[1])
        if place == 0:
            return self.course[0][0]
        if place == len(self.course):
            return None
        (before, less), (after, more) = self.course[place - 1 : place + 1]
        return before + (after - before) * ((limit - less) / (more - less))


def forecast(
    hours: Sequence[tuple[dt.datetime, int]],
    now: dt.datetime,
    period_start: dt.datetime,
    period_end: dt.datetime,
    spent_nano: int,
    *,
    began: dt.datetime | None = None,
) -> Forecast:
    """What will be spent at ``period_end``.

    Args:
        hours: nano-dollars by the UTC hour in which they were spent, with or without hours of
            nothing; the newest 28 days count, those before the period too.
        now: UTC, within the period, which is [``period_start``, ``period_end``).
        period_start: UTC.
        period_end: UTC.
        spent_nano: nano-dollars spent in the period so far.
        began: when counting began within the first of the hours; default: when that hour did.

    Raises:
        ValueError: now is not within the period.
    """
    if not period_start <= now < period_end:
        raise ValueError(f"{now} is not in the period from {period_start} to {period_end}")
    counted = History.of(hours, now, began)
    growth = counted.growth()
    history = counted.without(growth)
    profile, bold = (Profile.of(history.start, history.whole, bold=bold) for bold in (False, True))
    ahead_h = _ahead(now, period_end)
    left_h = math.ceil((period_end - now) / HOUR)
    smoothed = smooth(history, profile, max(_LEAST_AHEAD_H, min(DAY_H, left_h)))
    rate, lasts = history.rate_now(profile), history.lasting(profile)
    shapes, bold_shapes = (
        [of.at(start) * share for start, share in ahead_h] for of in (profile, bold)
    )
    extra = [(rate - smoothed.level) * lasts**hour * shape for hour, shape in enumerate(shapes)]
    total = float(spent_nano)
    course = [(now, spent_nano)]
    for hour, (start, _) in enumerate(ahead_h):
        grown = Growth.factor(growth.a_day, hour)
        total += max(0.0, smoothed.level * shapes[hour] * grown + extra[hour])
        course.append((min(start + HOUR, period_end), round(total)))
    ends = paths(smoothed, Ahead((shapes, bold_shapes), extra), growth, history)
    return Forecast(
        rate_usd_per_h=from_nano(round(rate * profile.at(now))),
        expected_usd=from_nano(round(total)),
        low_usd=from_nano(round(min(spent_nano + ends[_LOW], total))),
        high_usd=from_nano(round(max(spent_nano + ends[_HIGH], total))),
        history_h=history.length_h,
        course=tuple(course),
    )


def _ahead(now: dt.datetime, end: dt.datetime) -> list[tuple[dt.datetime, float]]:
    """Each hour until the end, and how much of it is to come."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    found: list[tuple[dt.datetime, float]] = []
    while hour < end:
        found.append((hour, (min(hour + HOUR, end) - max(hour, now)) / HOUR))
        hour += HOUR
    return found
