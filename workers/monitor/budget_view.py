"""What the Budget page shows: spend against its limits, who caused it, and what was done about it.

Money is exact US dollars in strings, times are UTC seconds.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from decimal import ROUND_CEILING, Decimal
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

from pixfleet.config import keys
from pixfleet.config.budgets import RUNGS, Budget
from pixfleet.producer.connection import answering
from pixfleet.workers.spend.alert_log import AlertLog
from pixfleet.workers.spend.book import bucket_end
from pixfleet.workers.spend.budgets import BudgetBook
from pixfleet.workers.spend.digest import SpendDigest
from pixfleet.workers.spend.event import LETS, BudgetEvent, exact
from pixfleet.workers.spend.outlook import Outlooks
from pixfleet.workers.spend.statement import per_images

from .spend_chart import SPANS, Span, chart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pixfleet.producer.ledger import Ledger
    from pixfleet.workers.spend.alert_log import Told, Trouble
    from pixfleet.workers.spend.budgets import Standing
    from pixfleet.workers.spend.forecast import Forecast
    from pixfleet.workers.spend.statement import By, Share, Statement

GROUPS: Final[dict[str, By]] = {"stage": "line", "tenant": "tenant", "recipe": "recipe"}
"""What spend is divided by, and what a statement calls it."""
_BYS: Final = tuple(GROUPS.values())
_MOST: Final = 20
"""Shares that are shown one by one; the others are summed."""
_NEWEST: Final = 100
"""Events and alerts that are shown."""
_FORECAST_S: Final = 30.0
_FORECAST_SHARE: Final = 0.01
"""Of a core, at most, that forecasts take."""
_GIGA: Final = 10**9


class BudgetView:
    """Reads all that the page shows; any thread may ask.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._redis: Any = ledger.redis
        self._lock = Lock()
        self._digest = SpendDigest(ledger)
        self._book = BudgetBook(ledger)
        self._alerts = AlertLog(ledger.redis)
        self._outlooks = Outlooks(ledger)
        self._forecasts: dict[str, Forecast | None] = {}
        self._forecast_at_s = -math.inf

    def read(self) -> dict[str, Any]:
        """All but the history."""
        with self._lock:
            now = self._refresh("1mo")
            standings = self._book.standings()
            forecasts = self._forecast(standings)
            times = {"today": f"{now:%Y-%m-%d}", "month": f"{now:%Y-%m}"}
            costs = {
                which: _costs(name, {by: self._digest.statement(name, by) for by in _BYS})
                for which, name in times.items()
            }
        with answering(self._redis):
            rows = cast("list[bytes]", self._redis.lrange(keys.BUDGET_LOG, 0, _NEWEST - 1))
        return {
            **costs,
            "budgets": [_budget(one, forecasts.get(one.budget.id)) for one in standings],
            "log": [_event(BudgetEvent.model_validate_json(row)) for row in rows],
            "alerts": _alerts(self._alerts.told()[:_NEWEST], self._alerts.troubles()),
        }

    def history(self, span: Span, group: str) -> dict[str, Any]:
        """Spend over a span, by stage, tenant or recipe.

        Raises:
            KeyError: no such group.
        """
        by = GROUPS[group]
        with self._lock:
            now = self._refresh(span)
            standings = self._book.standings()
            return {"group": group, **chart(self._digest, now, span, by, standings)}

    def _refresh(self, span: Span) -> dt.datetime:
        now = self._digest.now()
        since = now - SPANS[span].lasts
        self._digest.refresh(now, since.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
        return now

    def _forecast(self, standings: list[Standing]) -> dict[str, Forecast | None]:
        ids = {one.budget.id for one in standings}
        if not ids <= self._forecasts.keys() or time.monotonic() > self._forecast_at_s:
            began = time.monotonic()
            _, outlooks = self._outlooks.look()
            self._forecasts = {one.standing.budget.id: one.forecast for one in outlooks}
            took_s = time.monotonic() - began
            self._forecast_at_s = began + max(_FORECAST_S, took_s / _FORECAST_SHARE)
        return self._forecasts


def _costs(name: str, statements: Mapping[By, Statement]) -> dict[str, Any]:
    """A day or month."""
    statement = statements["line"]
    bill, counts = statement.bill, statement.counts
    images, pixels = counts["images"], counts["pixels"]
    start = dt.datetime.fromisoformat(name if len(name) > len("2026-11") else f"{name}-01")
    start = start.replace(tzinfo=dt.UTC)
    return {
        "name": name,
        "starts_at_s": start.timestamp(),
        "ends_at_s": bucket_end(name, start).timestamp(),
        "bill_usd": {line: exact(nano) for line, nano in bill.lines().items()},
        "utilisation": round(bill.utilisation, 4),
        "images": images,
        "failed": counts["failed"],
        "pixels": pixels,
        "usd_per_1000_images": exact(per_images(bill.total, images)) if images else None,
        "usd_per_gigapixel": exact(per_images(bill.total, pixels, _GIGA)) if pixels else None,
        "memo": {"hits": counts["memo_hits"], "saved_usd": exact(counts["saved_nano_usd"])},
        "adaptive": {
            "bytes": counts["adaptive_bytes"],
            "saved_usd": exact(counts["adaptive_nano_usd"]),
        },
        "shares": {group: _shares(statements[by]) for group, by in GROUPS.items()},
    }


def _shares(statement: Statement) -> dict[str, Any]:
    first, rest = statement.shares[:_MOST], statement.shares[_MOST:]
    return {
        "first": [_share(share) for share in first],
        "others": len(rest),
        "others_usd": exact(sum(share.nano_usd for share in rest)),
    }


def _share(share: Share) -> dict[str, Any]:
    images = share.counts["images"]
    return {
        "name": share.name,
        "usd": exact(share.nano_usd),
        "images": images,
        "usd_per_1000_images": exact(per_images(share.nano_usd, images)) if images else None,
        "saved_usd": exact(share.counts["saved_nano_usd"]),
    }


def _budget(one: Standing, seen: Forecast | None) -> dict[str, Any]:
    budget = one.budget
    return {
        "owner": budget.owner,
        "period": budget.period,
        "limit_usd": f"{budget.limit_usd:f}",
        "spent_usd": f"{one.spent_usd:f}",
        "share": round(one.share, 6),
        "rung": one.rung,
        "lets": LETS[one.rung],
        "since_s": one.since.timestamp(),
        "rungs_at": dict(zip(RUNGS[1:], budget.rungs_at, strict=True)),
        "held": one.held,
        "starts_at_s": one.starts_at.timestamp(),
        "ends_at_s": one.ends_at.timestamp(),
        "forecast": _forecast_of(one, seen) if seen else None,
        "lift": lift(one) if one.rung != "normal" else None,
    }


def _forecast_of(one: Standing, seen: Forecast) -> dict[str, Any]:
    reaches = seen.reaches(one.budget.limit_usd)
    spent = one.spent_usd  # since the forecast was made it may have passed what was expected
    return {
        "usd_per_hour": f"{seen.rate_usd_per_h:f}",
        "expected_usd": f"{max(spent, seen.expected_usd):f}",
        "low_usd": f"{max(spent, seen.low_usd):f}",
        "high_usd": f"{max(spent, seen.high_usd):f}",
        "reaches_limit_at_s": reaches.timestamp() if reaches else None,
        "history_h": round(seen.history_h, 2),
    }


def lift(one: Standing) -> str:
    """The command that makes a budget normal again, with a fifth to spare, as it is otherwise."""
    budget = one.budget
    least = min((share for share in budget.rungs_at if share), default=1.0)
    wanted = one.spent_usd / Decimal(str(least)) * Decimal("1.2")
    step = Decimal(1).scaleb(max(wanted.adjusted() - 1, -9))
    limit = (wanted / step).to_integral_value(ROUND_CEILING) * step
    words = ["pixfleet budget set", budget.owner, f"--limit {limit:f}", f"--period {budget.period}"]
    usual = Budget(owner=budget.owner, limit_usd=budget.limit_usd)
    for name, share, as_usual in zip(RUNGS[1:], budget.rungs_at, usual.rungs_at, strict=True):
        if share != as_usual:
            words.append(f"--{name} {'never' if share is None else f'{share:g}'}")
    if budget.alert_at != usual.alert_at:
        words.append(f"--alert {','.join(f'{share:g}' for share in budget.alert_at) or 'never'}")
    words += ["--no-forecast"] if not budget.forecast else []
    words += ["--no-idle"] if not budget.idle else []
    return " ".join(words)


def _event(event: BudgetEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "at_s": event.at,
        "owner": event.owner,
        "period": event.period,
        "kind": event.kind,
        "from": event.before,
        "to": event.rung,
        "share": event.share,
        "spent_usd": exact(event.spent_nano_usd),
        "limit_usd": exact(event.limit_nano_usd),
        "text": event.text.removeprefix("pixfleet: "),
    }


def _alerts(told: list[Told], troubles: dict[str, Trouble]) -> dict[str, Any]:
    return {
        "told": [
            {
                "id": one.id,
                "channel": one.channel,
                "at_s": one.at,
                "outcome": one.outcome,
                "problem": one.problem,
                "text": one.text.removeprefix("pixfleet: "),
            }
            for one in told
        ],
        "troubles": [
            {
                "channel": name,
                "tries": trouble.tries,
                "since_s": trouble.since,
                "again_at_s": trouble.again_at,
                "problem": trouble.problem,
                "mend": trouble.mend,
            }
            for name, trouble in troubles.items()
        ],
    }
