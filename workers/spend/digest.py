"""The sums of spend, held in memory so that a look reads only what can have changed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pixfleet.producer.connection import redis_now

from .book import Entry, SpendBook, bucket_end, owner_and_line
from .statement import By, Statement, make_statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pixfleet.producer.ledger import Ledger

_DAY: Final = len("2026-11-25")
_MONTH: Final = len("2026-11")
_CLOSED: Final = dt.timedelta(minutes=1)
"""After an hour's end nothing is charged in it any more: each step of Redis has its own hour."""
_HOURS_KEPT: Final = dt.timedelta(days=8)
_DAYS_KEPT: Final = dt.timedelta(days=400)


@dataclass(slots=True)
class _Day:
    """A day, or a month that was folded.

    Attributes:
        listed: buckets that the ledger has of it.
        added: those of them that are in the sums; the rest is open.
    """

    start: dt.datetime
    listed: set[str] = field(default_factory=set[str])
    added: set[str] = field(default_factory=set[str])
    sums: dict[bytes, int] = field(default_factory=dict[bytes, int])


class SpendDigest:
    """Statements of hours, days and months, the same as of :class:`SpendBook`'s entries.

    Hours that are over are read once and added to their day; the newest stays open and is read at
    every :meth:`refresh`. A day of which hours were folded, or are gone, is read anew. For one
    thread at a time.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._redis: Any = ledger.redis
        self._book = SpendBook(ledger)
        self._now = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._days: dict[str, _Day] = {}
        self._hours: dict[str, Mapping[bytes, int]] = {}
        self._fields: dict[bytes, bytes] = {}
        self._made: dict[str, dict[By, Statement]] = {}

    def now(self) -> dt.datetime:
        """By Redis' clock, by which sums are kept; UTC."""
        return redis_now(self._redis)

    def refresh(self, now: dt.datetime, since: dt.datetime) -> None:
        """Read what is new ``since`` the beginning of a month; hours of the last 8 days."""
        if now < self._now:  # the clock was set back, so hours that were over are open again
            for known in (self._days, self._hours, self._fields, self._made):
                known.clear()
        self._now = now
        while True:
            listed = self._listed(since)
            for name in [
                name
                for name, day in self._days.items()
                if day.start >= since and not day.listed <= listed.get(name, {}).keys()
            ]:
                self._forget(name)
            added = sum(self._follow(name, buckets) for name, buckets in listed.items())
            if not added:
                break
            there = self._book.buckets(since).keys()
            if all(buckets.keys() <= there for buckets in listed.values()):
                break  # else something was folded under the look
        for name in [name for name, day in self._days.items() if day.start < now - _DAYS_KEPT]:
            self._forget(name)
        oldest = f"{now - _HOURS_KEPT:%Y-%m-%dT%H}"
        for known in (self._hours, self._made):
            for name in [name for name in known if len(name) > _DAY and name < oldest]:
                del known[name]

    def statement(self, name: str, by: By) -> Statement:
        """Of an hour (``2026-11-25T08``), a day or a month; of one without spend it is empty."""
        made = self._made.setdefault(name, {})
        if by not in made:
            entries = (
                Entry(self._now, name, *owner_and_line(field), amount)  # statements ask no start
                for field, amount in self._sums(name).items()
            )
            made[by] = make_statement(entries, by)
        return made[by]

    def _listed(self, since: dt.datetime) -> dict[str, dict[str, dt.datetime]]:
        found: dict[str, dict[str, dt.datetime]] = {}
        for name, start in self._book.buckets(since).items():
            found.setdefault(name[:_DAY], {})[name] = start
        return found

    def _follow(self, name: str, buckets: Mapping[str, dt.datetime]) -> int:
        """Read what is not in a day's sums yet; how many buckets came to be."""
        day = self._days.setdefault(name, _Day(min(buckets.values())))
        day.listed |= buckets.keys()
        added = 0
        for bucket, fields in self._book.read(buckets.keys() - day.added).items():
            sums = {self._fields.setdefault(key, key): int(n) for key, n in fields.items()}
            if bucket_end(bucket, buckets[bucket]) + _CLOSED <= self._now:
                day.added.add(bucket)
                _add(day.sums, sums)
                added += 1
            if sums != self._hours.get(bucket):
                self._changed(bucket)
            if len(bucket) > _DAY:
                self._hours[bucket] = sums
        return added

    def _sums(self, name: str) -> Mapping[bytes, int]:
        if len(name) > _DAY:
            return self._hours.get(name, {})
        found: dict[bytes, int] = {}
        for known, day in self._days.items():
            if known.startswith(name):
                _add(found, day.sums)
                for bucket in day.listed - day.added:
                    _add(found, self._hours.get(bucket, {}))
        return found

    def _forget(self, name: str) -> None:
        for bucket in self._days.pop(name).listed:
            self._hours.pop(bucket, None)
            self._changed(bucket)

    def _changed(self, bucket: str) -> None:
        for name in (bucket, bucket[:_DAY], bucket[:_MONTH]):
            self._made.pop(name, None)


def _add(sums: dict[bytes, int], more: Mapping[bytes, int]) -> None:
    for name, amount in more.items():
        sums[name] = sums.get(name, 0) + amount
