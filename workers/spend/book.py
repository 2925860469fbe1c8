"""What was spent, as the ledger's sums tell it: by hour, tenant, recipe and line."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from pixfleet.config import keys
from pixfleet.producer.connection import answering

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pixfleet.producer.ledger import Ledger

_PAGE: Final = 100
_FOLDED: Final = 10_000
"""Sums after which one step of folding ends, for Redis does nothing else meanwhile."""
_LONGEST: Final = dt.timedelta(days=31)
"""That a bucket lasts."""
CAPACITY: Final = "capacity"
"""Line of the fleet: the time of its machines."""
TREE: Final = "tree"
"""Line of the fleet: the CPU that its workers' processes used, which is a part of that time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One sum.

    Attributes:
        start: of the hour, day or month, UTC.
        bucket: its name: 2026-11-25T08, 2026-11-25 or 2026-11.
        tenant, recipe: empty for what is the fleet's alone.
        line: a stage, a kind of request, rework, retry, capacity, tree; or ``#`` and what is
            counted.
        amount: nano-dollars, or the count.
    """

    start: dt.datetime
    bucket: str
    tenant: str
    recipe: str
    line: str
    amount: int


class SpendBook:
    """Reads the sums, and makes those of old hours and days fewer.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._redis: Any = ledger.redis
        self._scripts = ledger.scripts
        self._compact = ledger.scripts.load("pixfleet.workers.spend", "compact")

    def entries(
        self, since: dt.datetime | None = None, until: dt.datetime | None = None
    ) -> list[Entry]:
        """The sums of all hours, days and months that have a part in ``[since, until)``, in order.

        What was folded meanwhile would be missing, or there twice, so the look is then repeated.
        """
        while True:
            wanted = self.buckets(since, until)
            read = self.read(wanted)
            if wanted.keys() <= self.buckets(since, until).keys():
                break
        return [
            Entry(wanted[name], name, *owner_and_line(field), int(amount))
            for name, fields in read.items()
            for field, amount in fields.items()
        ]

    def read(self, names: Iterable[str]) -> dict[str, dict[bytes, bytes]]:
        """The sums of buckets as they are kept, by ``tenant|recipe|line``."""
        wanted = list(names)
        found: list[dict[bytes, bytes]] = []
        for place in range(0, len(wanted), _PAGE):
            with answering(self._redis):
                pipe = self._redis.pipeline(transaction=False)
                for name in wanted[place : place + _PAGE]:
                    pipe.hgetall(keys.SPENT + name)
                found += pipe.execute()
        return dict(zip(wanted, found, strict=True))

    def buckets(
        self, since: dt.datetime | None = None, until: dt.datetime | None = None
    ) -> dict[str, dt.datetime]:
        """Beginnings of all hours, days and months that have a part in ``[since, until)``."""
        first = "-inf" if since is None else (since - _LONGEST).timestamp()
        last = "+inf" if until is None else f"({until.timestamp()}"
        with answering(self._redis):
            found = cast(
                "list[tuple[bytes, float]]",
                self._redis.zrangebyscore(keys.SPENT_LIST, first, last, withscores=True),
            )
        starts = {name.decode(): dt.datetime.fromtimestamp(at, dt.UTC) for name, at in found}
        return {
            name: start
            for name, start in starts.items()
            if since is None or bucket_end(name, start) > since
        }

    def compact(self, hours_kept_days: float, days_kept_days: float) -> int:
        """Fold old hours into days, and old days into months; how many, of a bounded number.

        Each is folded whole, in one step of Redis: nobody ever sees a part of it.
        """
        kept_s = (int(days * 86_400) for days in (hours_kept_days, days_kept_days))
        return int(self._scripts.ask(self._compact, *kept_s, _FOLDED))


def bucket_end(name: str, start: dt.datetime) -> dt.datetime:
    """When an hour, day or month of that name ends."""
    if len(name) == len("2026-11"):
        return (start + _LONGEST).replace(day=1)
    return start + dt.timedelta(**({"days": 1} if len(name) == len("2026-11-25") else {"hours": 1}))


def owner_and_line(field: bytes) -> tuple[str, str, str]:
    """Tenant, recipe and line of a sum, of the name that the ledger keeps it by."""
    # The name of a recipe that is none, as a foreign job may give it, can hold anything.
    tenant, _, rest = field.decode().partition("|")
    recipe, _, line = rest.rpartition("|")
    return tenant, recipe, line
