"""The budgets that the ledger keeps: set, taken away, read from a file, and how they stand."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import structlog

from pixfleet.config import keys
from pixfleet.config.budgets import PERIODS, Budget, BudgetError, Rung, load_budgets
from pixfleet.config.prices import from_nano
from pixfleet.config.queues import HOMES
from pixfleet.producer.connection import answering

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal
    from pathlib import Path

    from pixfleet.producer.ledger import Ledger

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget at one moment."""

    budget: Budget
    spent_usd: Decimal
    """in this period, idle time of machines included where the budget says so"""
    rung: Rung
    since: dt.datetime
    """when it came to it, UTC"""
    held: int
    """jobs of its owner that wait because of this budget or another of the same owner"""
    ends_at: dt.datetime
    """when the period ends, UTC"""

    @property
    def share(self) -> float:
        """Of the limit, 1 is all of it."""
        return float(self.spent_usd / self.budget.limit_usd)

    @property
    def starts_at(self) -> dt.datetime:
        """When the period began, UTC."""
        if self.budget.period == "month":
            return (self.ends_at - dt.timedelta(days=1)).replace(day=1)
        return self.ends_at - dt.timedelta(**{f"{self.budget.period}s": 1})


class BudgetBook:
    """Budgets of one fleet.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._redis: Any = ledger.redis
        self._scripts = ledger.scripts
        self._standings, self._dropping = (
            self._scripts.load("pixfleet.workers.spend", name) for name in ("standings", "drop")
        )

    def put(self, budgets: Iterable[Budget]) -> list[Budget]:
        """Set budgets, in the place of others of the same owner and period; those that changed."""
        changed: list[Budget] = []
        with answering(self._redis):
            for budget in budgets:
                row = budget.row()
                if self._redis.hget(keys.BUDGETS, budget.id) != row.encode():
                    self._redis.hset(keys.BUDGETS, budget.id, row)
                    changed.append(budget)
        self.standings()  # what follows from it is said now
        return changed

    def remove(self, owner: str, period: str | None = None) -> list[str]:
        """Take budgets away, all of an owner's or that of a period; jobs they hold go on."""
        names = [f"{owner}|{name}" for name in PERIODS if period in (None, name)]
        return self._drop(names)

    def standings(self) -> list[Standing]:
        """Every budget as it stands, by owner and period."""
        rows = self._scripts.ask(self._standings, *HOMES)
        found = [
            Standing(
                budget=Budget.read(row),
                spent_usd=from_nano(int(spent)),
                rung=cast("Rung", rung.decode()),
                since=dt.datetime.fromtimestamp(float(since), dt.UTC),
                held=held,
                ends_at=dt.datetime.fromtimestamp(ends_at, dt.UTC),
            )
            for _, row, spent, rung, since, held, ends_at in rows
        ]
        order = {period: place for place, period in enumerate(PERIODS)}
        return sorted(found, key=lambda one: (one.budget.owner, order[one.budget.period]))

    def follow(self, file: Path) -> None:
        """Make the budgets of a file this fleet's, if it has changed since that was last done.

        Those that went from the file go; those that were set by hand stay, until the file changes
        them. A faulty file changes nothing.

        Raises:
            BudgetError: missing or faulty.
        """
        budgets = load_budgets(file)
        digest = hashlib.sha256("\n".join(budget.row() for budget in budgets).encode()).hexdigest()
        with answering(self._redis):
            said = json.loads(self._redis.get(keys.BUDGETS_FILE) or "{}")
        if said.get("digest") == digest:
            return
        ids = [budget.id for budget in budgets]
        changed = [budget.id for budget in self.put(budgets)]
        removed = self._drop([name for name in said.get("ids", []) if name not in ids])
        with answering(self._redis):
            self._redis.set(keys.BUDGETS_FILE, json.dumps({"digest": digest, "ids": ids}))
        _log.info("budgets.read", file=str(file), changed=changed, removed=removed)

    def _drop(self, names: list[str]) -> list[str]:
        return [name.decode() for name in self._scripts.ask(self._dropping, *names)]


class BudgetFile:
    """The file that PIXFLEET_BUDGETS_FILE names, looked at again and again."""

    def __init__(self, book: BudgetBook, file: Path) -> None:
        self._book = book
        self._file = file
        self._said = ""

    def look(self) -> None:
        """Follow the file; what is wrong with it is said once.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        problem = ""
        try:
            self._book.follow(self._file)
        except BudgetError as error:
            problem = str(error)
        if problem and problem != self._said:
            _log.error("budgets.faulty", reason=problem, meanwhile="the budgets stay as they were")
        self._said = problem
