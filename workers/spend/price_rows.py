"""The prices of a book as rows: what each is, how old, and whether this fleet pays it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from pixfleet.config.prices import PriceBook

STALE_DAYS: Final = 180
"""A price that was seen longer ago may not be what is paid today."""
_ALWAYS: Final = ("requests", "storage_gb_month", "egress_gb")


@dataclass(frozen=True, slots=True)
class Row:
    """One price.

    Attributes:
        usd: for ``unit``, exactly.
        age_days: days since it was seen.
        in_use: this fleet's jobs may be charged at it.
    """

    name: str
    usd: str
    unit: str
    date: dt.date
    age_days: int
    source: str
    in_use: bool

    @property
    def stale(self) -> bool:
        """Is it too old to rely on?"""
        return self.age_days > STALE_DAYS

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return asdict(self) | {"stale": self.stale}


def name_of(path: tuple[str, ...]) -> str:
    """A price's place in its book, as people read it: ``c7i.large spot``, ``s3_get``."""
    return " ".join(path[1:] or path)


def rows_of(book: PriceBook, machine: str, purchase: str, today: dt.date) -> list[Row]:
    """Every price of the book; those of this machine on these terms are in use."""
    used = ("instances", machine, purchase)
    return [
        Row(
            name=name_of(path),
            usd=f"{price.usd:f}",
            unit=price.unit,
            date=price.date,
            age_days=(today - price.date).days,
            source=price.source,
            in_use=path == used or path[0] in _ALWAYS or path[:2] == ("serverless", machine),
        )
        for path, price in book.prices()
    ]


def complaint(rows: Sequence[Row]) -> str:
    """What is too old among the prices in use; empty: nothing."""
    old = sorted((row for row in rows if row.in_use and row.stale), key=lambda row: row.date)
    if not old:
        return ""
    names = ", ".join(row.name for row in old)
    return f"prices in use that were seen up to {old[0].age_days} days ago: {names}"
