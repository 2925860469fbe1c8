"""What has happened to a budget: as the ledger notes it, as a sentence, and as a document."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pixfleet.config.budgets import FLEET, Rung
from pixfleet.config.prices import from_nano

if TYPE_CHECKING:
    from decimal import Decimal

Kind = Literal["rung", "alert", "forecast", "test"]
LETS: Final[dict[Rung, str]] = {
    "normal": "everything runs as usual",
    "thrifty": "jobs run with the least effort and without optional variants",
    "essential": "bulk jobs wait, interactive ones go on",
    "closed": "new jobs are refused, and those that wait are kept",
}
"""What happens at each rung."""


class BudgetEvent(BaseModel):
    """One event, in the names of the ledger's scripts; told to every channel at least once."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1)
    at: float
    """UTC seconds"""
    owner: str
    period: str
    kind: Kind
    before: Rung = Field(alias="from")
    rung: Rung = Field(alias="to")
    share: float
    """of the limit that is spent, 1 is all of it"""
    spent_nano_usd: int
    limit_nano_usd: int
    ends_at: float
    """of the period, UTC seconds"""
    expected_nano_usd: int | None = None
    """of a forecast: what will be spent when the period ends, and its interval of 90%"""
    low_nano_usd: int | None = None
    high_nano_usd: int | None = None
    reaches_at: float | None = None
    """of a forecast: when the limit is reached, UTC seconds"""

    @property
    def budget(self) -> str:
        """``owner|period``, as the budget is known."""
        return f"{self.owner}|{self.period}"

    @property
    def text(self) -> str:
        """One or two sentences for people; no secret, nothing that Slack reads as markup."""
        limit = f"{dollars(from_nano(self.limit_nano_usd))} USD"
        spent = f"{dollars(from_nano(self.spent_nano_usd))} USD"
        who = "the fleet" if self.owner == FLEET else self.owner.replace(":", " ", 1)
        used = f"{who} has spent {spent} of {limit} ({100 * self.share:.0f}%) this {self.period}"
        ends = f"The {self.period} ends at {moment(self.ends_at)}."
        if self.kind == "test":
            return "pixfleet: this is a test; alerts of budgets arrive here."
        if self.kind == "forecast" and self.expected_nano_usd is not None:
            low, high = (
                dollars(from_nano(bound or 0)) for bound in (self.low_nano_usd, self.high_nano_usd)
            )
            expected = dollars(from_nano(self.expected_nano_usd))
            when = f" about {moment(self.reaches_at)}" if self.reaches_at else ""
            return (
                f"pixfleet: {who} is expected to pass its limit of {limit} this {self.period}"
                f"{when}: {expected} USD at the end, {low} to {high} in 9 cases of 10; {spent} so "
                f"far. {ends}"
            )
        if self.kind == "rung":
            again = " again" if self.rung == "normal" else ""
            return (
                f"pixfleet: {used}. It was {self.before} and is {self.rung}{again}: "
                f"{LETS[self.rung]}. {ends}"
            )
        return f"pixfleet: {used}. It is {self.rung}: {LETS[self.rung]}. {ends}"

    def document(self) -> dict[str, Any]:
        """As channels send it to programs: money in exact decimal strings, times in ISO 8601."""
        found: dict[str, Any] = {
            "id": self.id,
            "at": _iso(self.at),
            "owner": self.owner,
            "period": self.period,
            "kind": self.kind,
            "from": self.before,
            "to": self.rung,
            "share": self.share,
            "spent_usd": exact(self.spent_nano_usd),
            "limit_usd": exact(self.limit_nano_usd),
            "ends_at": _iso(self.ends_at),
        }
        if self.expected_nano_usd is not None:
            found |= {
                "expected_usd": exact(self.expected_nano_usd),
                "low_usd": exact(self.low_nano_usd or 0),
                "high_usd": exact(self.high_nano_usd or 0),
                "reaches_at": _iso(self.reaches_at) if self.reaches_at else None,
            }
        return found


def dollars(money: Decimal) -> str:
    """US dollars to read: cents, and below a dollar what there is, to the micro-dollar."""
    return f"{money:,.2f}" if money >= 1 or not money else f"{money:,.6f}"


def exact(nano: int) -> str:
    """US dollars for programs, to the nano-dollar."""
    return f"{from_nano(nano):f}"


def moment(at_s: float) -> str:
    """UTC seconds as people read them, to the minute."""
    return f"{dt.datetime.fromtimestamp(at_s, dt.UTC):%Y-%m-%d %H:%M} UTC"


def _iso(at_s: float) -> str:
    return dt.datetime.fromtimestamp(at_s, dt.UTC).isoformat(timespec="seconds")
