"""The usual course of a week, from hours of spend: pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DAY_H: Final = 24
WEEK_H: Final = 168
HOUR: Final = dt.timedelta(hours=1)
_DAYS_OF_DOUBT: Final = 1.0
_WEEKS_OF_DOUBT: Final = 0.3
_CELLS_OF_DOUBT: Final = 1.0
_LEAST_LIKENESS: Final = 0.02
_SURE: Final = 0.3
"""Turns that are so much alike have a course beyond doubt."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Factors around 1, of the 168 hours of a UTC week from Monday."""

    cells: tuple[float, ...]

    def at(self, hour: dt.datetime) -> float:
        """How much of the mean the hour usually has."""
        return self.cells[_cell(hour)]

    @classmethod
    def of(cls, start: dt.datetime, spent: Sequence[float], *, bold: bool = False) -> Profile:
        """From whole hours since ``start``; flat where there is less than a day, or nothing.

        Hours of the day and days of the week are seen first, as factors of their own, then hours of
        the week as what differs from both. Each is shrunk towards what is known without it, as if a
        day, a third of a week and a week without it had been seen besides, and more where one turn
        is not like the next; ``bold``: not at all where it is. Each hour is compared with its own
        day and week, counted back from the end.
        """
        daily, weekly = (_doubt(spent, turn_h, bold=bold) for turn_h in (DAY_H, WEEK_H))
        flat = [1.0] * WEEK_H
        shape = _refined(
            flat, start, spent, DAY_H, lambda at: at.hour, doubt=_DAYS_OF_DOUBT * daily
        )
        shape = _refined(
            shape, start, spent, WEEK_H, lambda at: at.weekday(), doubt=_WEEKS_OF_DOUBT * weekly
        )
        return cls(
            tuple(_refined(shape, start, spent, WEEK_H, _cell, doubt=_CELLS_OF_DOUBT * weekly))
        )


def autocorrelation(values: Sequence[float], lag: int) -> float:
    """From -1 to 1; 0 where there is nothing to compare."""
    if len(values) <= lag:
        return 0.0
    mean = sum(values) / len(values)
    off = [value - mean for value in values]
    early, late = off[:-lag], off[lag:]
    squares = sum(x * x for x in early) * sum(x * x for x in late)
    return sum(a * b for a, b in zip(early, late, strict=True)) / squares**0.5 if squares else 0.0


def _cell(at: dt.datetime) -> int:
    return at.weekday() * DAY_H + at.hour


def _doubt(spent: Sequence[float], turn_h: int, *, bold: bool) -> float:
    if len(spent) < 2 * turn_h:
        return 0.0 if bold else 1.0
    alike = autocorrelation(spent, turn_h)
    return 0.0 if bold and alike > _SURE else 1 / max(alike, _LEAST_LIKENESS)


def _refined(
    shape: list[float],
    start: dt.datetime,
    spent: Sequence[float],
    turn_h: int,
    place: Callable[[dt.datetime], int],
    *,
    doubt: float,
) -> list[float]:
    """The shape times what each place in a turn has more or less than the shape says."""
    turns = len(spent) // turn_h
    if not turns:
        return shape
    seen, usual = [0.0] * WEEK_H, [0.0] * WEEK_H
    for first in range(len(spent) - turns * turn_h, len(spent), turn_h):
        mean = sum(spent[first : first + turn_h]) / turn_h
        for hour in range(first, first + turn_h):
            at = start + HOUR * hour
            seen[place(at)] += spent[hour]
            usual[place(at)] += mean * shape[_cell(at)]
    more = doubt / turns
    factors = [
        (one + more * of) / ((1 + more) * of) if of else 1.0
        for one, of in zip(seen, usual, strict=True)
    ]
    monday = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return [factors[place(monday + HOUR * cell)] * shape[cell] for cell in range(WEEK_H)]
