"""What was spent, as the ledger's sums tell it: by hour, tenant, recipe and line."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from pixfleet.config import keys
from pixfleet.producer.connection import answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixfleet.producer.ledger import Ledger

_PAGE: Final = 100
_FOLDED: Final = 200
"""Buckets at most in one step, in which Redis does nothing else."""
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
    ) -> Iterator[Entry]:
        """The sums of what begins in ``[since, until)``, the oldest first; read page by page."""
        first = "-inf" if since is None else since.timestamp()
        last = "+inf" if until is None else f"({until.timestamp()}"
        with answering(self._redis):
            buckets = cast(
                "list[tuple[bytes, float]]",
                self._redis.zrangebyscore(keys.SPENT_LIST, first, last, withscores=True),
            )
        for place in range(0, len(buckets), _PAGE):
            page = buckets[place : place + _PAGE]
            with answering(self._redis):
                pipe = self._redis.pipeline(transaction=False)
                for name, _ in page:
                    pipe.hgetall(keys.SPENT + name.decode())
                found = cast("list[dict[bytes, bytes]]", pipe.execute())
            for (name, start_s), fields in zip(page, found, strict=True):
                start = dt.datetime.fromtimestamp(start_s, dt.UTC)
                for field, amount in fields.items():
                    tenant, recipe, line = field.decode().split("|")
                    yield Entry(start, name.decode(), tenant, recipe, line, int(amount))

    def compact(self, hours_kept_days: float, days_kept_days: float) -> int:
        """Fold old hours into days, and old days into months; how many, of a bounded number."""
        kept_s = (int(days * 86_400) for days in (hours_kept_days, days_kept_days))
        return int(self._scripts.ask(self._compact, *kept_s, _FOLDED))
