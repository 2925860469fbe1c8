"""Budgets: who may spend how much in which time, and what happens on the way there."""

from __future__ import annotations

import json
import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, model_validator

from .contract import Frozen, explain
from .prices import NANO, to_nano

Period = Literal["hour", "day", "week", "month"]
Rung = Literal["normal", "thrifty", "essential", "closed"]
PERIODS: Final[tuple[Period, ...]] = get_args(Period)
RUNGS: Final[tuple[Rung, ...]] = get_args(Rung)
"""What a budget allows, the most first: everything; everything, made with less effort; only
interactive jobs; nothing."""
FLEET: Final = "fleet"
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_OWNER: Final = re.compile(rf"fleet|(tenant|recipe):{_NAME}")
_HEAD: Final = re.compile(r"\s*\[\[\s*budget\s*\]\]")
_LEAST_USD: Final = NANO
_MOST_USD: Final = Decimal(1_000_000)


class BudgetError(ValueError):
    """A budget is faulty; names the file or owner, the key and how to mend it."""


def _owner(value: Any) -> Any:
    if not isinstance(value, str) or not _OWNER.fullmatch(value):
        raise ValueError(f"{value!r} is none; write fleet, tenant:NAME or recipe:NAME")
    return value


def _limit(value: Any) -> Decimal:
    if isinstance(value, (float, bool)):
        raise ValueError(f'write the amount as a string, limit_usd = "{value}"')  # noqa: TRY004 (pydantic's)
    try:
        amount = Decimal(value)
    except (ArithmeticError, TypeError, ValueError):
        raise ValueError(f'{value!r} is no amount; write it like limit_usd = "25.00"') from None
    if not amount.is_finite() or not _LEAST_USD <= amount <= _MOST_USD:
        raise ValueError(f"{value} USD is no budget; from {_LEAST_USD:f} to {_MOST_USD} is")
    return amount


Limit = Annotated[
    Decimal,
    BeforeValidator(_limit),
    PlainSerializer(lambda money: format(money, "f"), return_type=str, when_used="json"),
]
Share = Annotated[float, Field(gt=0, le=10)]


class Budget(Frozen):
    """What one owner may spend in one period; all shares are of the limit."""

    owner: Annotated[str, BeforeValidator(_owner)] = Field(
        description="fleet, tenant:NAME or recipe:NAME"
    )
    period: Period = Field(default="month", description="of UTC; weeks begin on Monday")
    limit_usd: Limit
    thrifty_at: Share | None = Field(
        default=0.8, description="from here on the least effort, and no optional variants"
    )
    essential_at: Share | None = Field(
        default=0.9, description="from here on bulk jobs wait, interactive ones go on"
    )
    closed_at: Share | None = Field(
        default=1.0, description="from here on jobs are refused, and those that wait are kept"
    )
    alert_at: tuple[Share, ...] = Field(
        default=(0.5, 0.8, 1.0), description="alerts go out when spend passes these"
    )
    forecast: bool = Field(
        default=True, description="alert when the period's end is expected beyond the limit"
    )
    idle: bool = Field(
        default=True,
        description="of the fleet's budget: machines' time that no job used counts, as on the bill",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        given = [share for share in self.rungs_at if share]
        if given != sorted(given):
            raise ValueError("thrifty_at, essential_at and closed_at must not fall")
        return self

    @property
    def id(self) -> str:
        """``owner|period``; an owner has one budget of each period."""
        return f"{self.owner}|{self.period}"

    @property
    def rungs_at(self) -> tuple[float | None, ...]:
        """The shares of the limit from which it is thrifty, essential and closed."""
        return self.thrifty_at, self.essential_at, self.closed_at

    def row(self) -> str:
        """As the ledger keeps it: the model, and its thresholds in nano-dollars for the scripts."""
        limit = self.limit_usd
        rungs = [
            None if share is None else to_nano(limit * Decimal(str(share)))
            for share in self.rungs_at
        ]
        return json.dumps(
            {
                "budget": self.model_dump(mode="json"),
                "limit": to_nano(limit),
                "rungs": rungs,
                "alerts": sorted(to_nano(limit * Decimal(str(share))) for share in self.alert_at),
                "idle": self.owner == FLEET and self.idle,
            }
        )

    @classmethod
    def read(cls, row: str | bytes) -> Self:
        """The reverse of :meth:`row`."""
        return cls.model_validate(json.loads(row)["budget"])


def make_budget(fields: dict[str, Any], where: str) -> Budget:
    """A budget of what somebody wrote; ``where`` is named in the error.

    Raises:
        BudgetError: faulty; names every key and how to mend it.
    """
    try:
        return Budget.model_validate(fields)
    except ValidationError as error:
        raise BudgetError(f"{where}: {explain(error)}") from None


def load_budgets(path: str | Path) -> list[Budget]:
    """The budgets of a TOML file, each a table ``[[budget]]``.

    Raises:
        BudgetError: missing, faulty, or two budgets of one owner and period.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise BudgetError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BudgetError(f"{path} is not TOML: {error}") from None
    tables = document.pop("budget", [])
    if document or not isinstance(tables, list):
        named = ", ".join(sorted(document)) or "budget"
        raise BudgetError(f"{path}: {named}: write each budget as a table [[budget]]")
    heads = [n for n, line in enumerate(text.split("\n"), 1) if _HEAD.match(line)]
    budgets: dict[str, Budget] = {}
    for place, table in enumerate(tables):
        line = f", line {heads[place]}" if len(heads) == len(tables) else ""
        where = f"{path}{line}: budget {place + 1}"
        budget = make_budget(table, where)
        if budget.id in budgets:
            raise BudgetError(
                f"{where}: {budget.owner} has a budget for the {budget.period} already; keep one "
                "of the two"
            )
        budgets[budget.id] = budget
    return list(budgets.values())
