"""Spend over time, stacked by who or what caused it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from pixfleet.config.budgets import FLEET, PERIODS, Period
from pixfleet.config.prices import from_nano, to_nano
from pixfleet.workers.spend.event import exact

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from pixfleet.workers.spend.budgets import Standing
    from pixfleet.workers.spend.digest import SpendDigest
    from pixfleet.workers.spend.statement import By

Span = Literal["1d", "1w", "1mo", "1y"]
_MOST: Final = 7
"""Series that are told apart; the others are one."""
OTHERS: Final = "(others)"
UNUSED: Final = "(overhead and idle)"
"""Of the machines' time, what no job, tenant or recipe caused."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How a span is divided."""

    lasts: dt.timedelta
    step: Period


SPANS: Final[dict[Span, Steps]] = dict(
    zip(
        get_args(Span),
        (
            Steps(dt.timedelta(hours=23), "hour"),
            Steps(dt.timedelta(days=7), "hour"),
            Steps(dt.timedelta(days=30), "day"),
            Steps(dt.timedelta(days=334), "month"),
        ),
        strict=True,
    )
)


def chart(
    digest: SpendDigest, now: dt.datetime, span: Span, by: By, standings: Iterable[Standing]
) -> dict[str, Any]:
    """Each step of a span with what was spent in it, the newest last, and the limit of a step.

    The series of a step add up to its bill.
    """
    steps = SPANS[span]
    starts = _starts(now, steps)
    totals: Counter[str] = Counter()
    rows: list[dict[str, int]] = []
    for start in starts:
        statement = digest.statement(_name(start, steps.step), by)
        row = {share.name: share.nano_usd for share in statement.shares}
        row[UNUSED] = statement.bill.overhead + statement.bill.idle
        rows.append(row)
        totals.update(row)
    unused = totals.pop(UNUSED, 0)
    ranked = sorted((name for name in totals if totals[name]), key=lambda one: (-totals[one], one))
    first, rest = ranked[:_MOST], ranked[_MOST:]
    series = [{"name": name, "usd": [exact(row.get(name, 0)) for row in rows]} for name in first]
    if rest:
        others = [exact(sum(row.get(name, 0) for name in rest)) for row in rows]
        series.append({"name": OTHERS, "usd": others})
    if unused:
        series.append({"name": UNUSED, "usd": [exact(row[UNUSED]) for row in rows]})
    return {
        "span": span,
        "step": steps.step,
        "at_s": [start.timestamp() for start in starts],
        "series": series,
        "total_usd": [exact(sum(row.values())) for row in rows],
        "limit": _limit(standings, steps.step),
    }


def _starts(now: dt.datetime, steps: Steps) -> list[dt.datetime]:
    newest = now.replace(minute=0, second=0, microsecond=0)
    if steps.step == "hour":
        count = steps.lasts // dt.timedelta(hours=1)
        return [newest - dt.timedelta(hours=back) for back in range(count, -1, -1)]
    newest = newest.replace(hour=0)
    if steps.step == "day":
        return [newest - dt.timedelta(days=back) for back in range(steps.lasts.days, -1, -1)]
    found = [newest.replace(day=1)]
    while found[0] > now - steps.lasts:
        found.insert(0, (found[0] - dt.timedelta(days=1)).replace(day=1))
    return found


def _name(start: dt.datetime, step: Period) -> str:
    return start.strftime({"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d"}.get(step, "%Y-%m"))


def _limit(standings: Iterable[Standing], step: Period) -> dict[str, Any] | None:
    """The fleet's budget of a step, else its next longer one spread evenly over its time."""
    of_fleet = {one.budget.period: one for one in standings if one.budget.owner == FLEET}
    for period in PERIODS[PERIODS.index(step) :]:
        if standing := of_fleet.get(period):
            limit = standing.budget.limit_usd
            return {
                "period": period,
                "limit_usd": f"{limit:f}",
                "usd": f"{_spread(limit, standing, step):f}",
            }
    return None


def _spread(limit: Decimal, standing: Standing, step: Period) -> Decimal:
    if standing.budget.period == step:
        return limit
    lasts = standing.ends_at - standing.starts_at
    parts = lasts / dt.timedelta(**{f"{step}s": 1})
    return from_nano(to_nano(limit / round(parts)))
