"""Forecasts of budgets, from the sums that the ledger keeps by the hour."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from pixfleet.config import keys
from pixfleet.config.budgets import FLEET
from pixfleet.config.prices import to_nano
from pixfleet.producer.connection import answering, redis_now

from .budgets import BudgetBook
from .event import BudgetEvent
from .forecast import Forecast, forecast
from .history import HISTORY_DAYS
from .profile import HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pixfleet.config.budgets import Budget
    from pixfleet.producer.ledger import Ledger

    from .budgets import Standing

IDLE: Final = "idle"
"""What is owned by nobody: machines' time that no job used."""
LEAST_H: Final = 0.5
"""Hours of history without which nothing is said of the future."""
_MINUTES_KEPT: Final = 120


@dataclass(frozen=True, slots=True)
class Outlook:
    """A budget, how it stands, and where it goes; None: too little is known."""

    standing: Standing
    forecast: Forecast | None


class Outlooks:
    """Forecasts for all budgets of one fleet.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._redis: Any = ledger.redis
        self._book = BudgetBook(ledger)

    def look(self, *, watched: bool = False) -> tuple[dt.datetime, list[Outlook]]:
        """Now by Redis' clock, by which sums are kept; and every budget, or the ``watched`` ones.

        Those are the ones that want to be forecast and are not used up.
        """
        standings = [
            standing
            for standing in self._book.standings()
            if not watched or (standing.budget.forecast and standing.share < 1)
        ]
        now = redis_now(self._redis)
        owners = {standing.budget.owner for standing in standings}
        sums = self._sums(owners, "hour:%Y-%m-%dT%H", now, HOUR, HISTORY_DAYS * 24)
        young = {owner for owner in owners if _first_h(sums[owner], now) < _MINUTES_KEPT / 60}
        minute = dt.timedelta(minutes=1)
        minutes = self._sums(young, "minute:%Y-%m-%dT%H:%M", now, minute, _MINUTES_KEPT)
        found: list[Outlook] = []
        for standing in standings:
            budget = standing.budget
            hours = sums[budget.owner]
            began = next((at for at, *nano in minutes.get(budget.owner, ()) if any(nano)), None)
            counted = [(at, nano + (idle if budget.idle else 0)) for at, nano, idle in hours]
            start = standing.starts_at
            said: Forecast | None = None
            if any(nano for _, nano in counted) and start <= now < standing.ends_at:
                spent = to_nano(standing.spent_usd)
                said = forecast(counted, now, start, standing.ends_at, spent, began=began)
            found.append(Outlook(standing, said if said and said.history_h >= LEAST_H else None))
        return now, found

    def _sums(
        self, owners: Iterable[str], name: str, now: dt.datetime, step: dt.timedelta, steps: int
    ) -> dict[str, list[tuple[dt.datetime, int, int]]]:
        """Of each owner: beginning, nano-dollars, and of the fleet those of idle time."""
        wanted = sorted(owners)
        if not wanted:
            return {}
        newest = now.replace(second=0, microsecond=0)
        newest = newest.replace(minute=0) if step == HOUR else newest
        starts = [newest - step * back for back in range(steps, -1, -1)]
        with answering(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            for start in starts:
                pipe.hmget(keys.OWNED + start.strftime(name), [*wanted, IDLE])
            rows = cast("list[list[bytes | None]]", pipe.execute())
        return {
            owner: [
                (start, int(row[place] or 0), int(row[-1] or 0) if owner == FLEET else 0)
                for start, row in zip(starts, rows, strict=True)
            ]
            for place, owner in enumerate(wanted)
        }


class ForecastWatch:
    """Says that a budget is expected to be passed, once for each period and limit."""

    def __init__(self, ledger: Ledger) -> None:
        self._outlooks = Outlooks(ledger)
        self._scripts = ledger.scripts
        self._foresee = self._scripts.load("pixfleet.workers.spend", "foresee")

    def look(self) -> list[BudgetEvent]:
        """Look at every budget that wants it; what was said just now.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        now, outlooks = self._outlooks.look(watched=True)
        said: list[BudgetEvent] = []
        for outlook in outlooks:
            standing, seen = outlook.standing, outlook.forecast
            if seen and seen.expected_usd > standing.budget.limit_usd:
                event = _event(standing, seen, now)
                lasts_s = math.ceil((standing.ends_at - now).total_seconds()) + 1
                row = event.model_dump_json(by_alias=True)
                if self._scripts.ask(self._foresee, event.id, lasts_s, row):
                    said.append(event)
        return said


def _event(standing: Standing, seen: Forecast, now: dt.datetime) -> BudgetEvent:
    budget: Budget = standing.budget
    limit = to_nano(budget.limit_usd)
    reaches_at = seen.reaches(budget.limit_usd)
    return BudgetEvent.model_validate(
        {
            "id": f"{budget.id}|{standing.starts_at:%Y-%m-%dT%H}|{limit}|forecast",
            "at": now.timestamp(),
            "owner": budget.owner,
            "period": budget.period,
            "kind": "forecast",
            "from": standing.rung,
            "to": standing.rung,
            "share": round(standing.share, 4),
            "spent_nano_usd": to_nano(standing.spent_usd),
            "limit_nano_usd": limit,
            "ends_at": standing.ends_at.timestamp(),
            "expected_nano_usd": to_nano(seen.expected_usd),
            "low_nano_usd": to_nano(seen.low_usd),
            "high_nano_usd": to_nano(seen.high_usd),
            "reaches_at": reaches_at.timestamp() if reaches_at else None,
        }
    )


def _first_h(hours: list[tuple[dt.datetime, int, int]], now: dt.datetime) -> float:
    """Hours since the first one with a sum began."""
    return next(((now - at) / HOUR for at, *nano in hours if any(nano)), math.inf)
