"""Reads the record: sums of money, what was learned about machines, the memo's state."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final, cast

from pixfleet.config import keys
from pixfleet.config.prices import from_nano
from pixfleet.producer.connection import answering
from pixfleet.workers.memo.index import MemoIndex
from pixfleet.workers.spend.book import TREE, SpendBook
from pixfleet.workers.spend.experience import MADE, RAN
from pixfleet.workers.spend.statement import RETRY, REWORK

from .record import HigherEffort, Hour, Made, Ran, Record, Remembered, Tried, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from pixfleet.config.prices import PriceBook
    from pixfleet.config.settings import Settings
    from pixfleet.producer.ledger import Ledger
    from pixfleet.workers.spend.book import Entry

PAST_DAYS: Final = 28
"""What repeats by the week is looked for in so many days, however short the time looked at."""
_HOUR_NAME: Final = len("2026-11-25T08")


def read_record(
    ledger: Ledger, settings: Settings, book: PriceBook, since: dt.datetime, until: dt.datetime
) -> Record:
    """All that advice is drawn from.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """
    past = min(since, until - dt.timedelta(days=PAST_DAYS))
    entries = list(SpendBook(ledger).entries(past, until))
    client: Any = ledger.redis
    months = _months(past, until)
    with answering(ledger.redis):
        pipe = client.pipeline(transaction=False)
        for month in months:
            pipe.hgetall(keys.EXPERIENCE + month)
        pipe.hgetall(keys.TOTALS)
        *found, totals = cast("list[dict[bytes, bytes]]", pipe.execute())
        memo = MemoIndex(ledger.redis, keys.MEMO).stats()
    learned = {month: _numbers(fields) for month, fields in zip(months, found, strict=True)}
    return record_of(
        entries,
        learned,
        book,
        (since, until),
        memo=Remembered(
            memo.hits,
            memo.misses,
            memo.bytes,
            settings.memo.max_bytes,
            billed=settings.store.url.startswith("s3://"),
        ),
        totals=_numbers(totals),
    )


def record_of(
    entries: Iterable[Entry],
    learned: Mapping[str, Mapping[str, int]],
    book: PriceBook,
    window: tuple[dt.datetime, dt.datetime],
    *,
    memo: Remembered | None = None,
    totals: Mapping[str, int] | None = None,
) -> Record:
    """The record of ``window`` from the ledger's sums and, by month, from what was learned."""
    since, until = window
    kept = list(entries)
    inside = [entry for entry in kept if entry.start >= since]
    first = min((entry.start for entry in inside), default=until)
    in_window = [
        fields for month, fields in learned.items() if f"{since:%Y-%m}" <= month <= f"{until:%Y-%m}"
    ]
    made, tried, higher = _made(in_window)
    earliest = min(since, until - dt.timedelta(days=PAST_DAYS))
    past = tuple(h for h in _hours(kept, learned.values()) if h.start >= earliest)
    return Record(
        since=max(since, first),
        until=until,
        book=book,
        works=_works(inside, book),
        fleet=_fleet(inside),
        hours=tuple(hour for hour in past if hour.start >= since),
        past=past,
        made=made,
        tried=tried,
        higher_effort=higher,
        memo=memo,
        totals=totals or {},
    )


def _works(entries: Iterable[Entry], book: PriceBook) -> tuple[Work, ...]:
    money: dict[str, Counter[str]] = defaultdict(Counter)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        if not entry.recipe:
            continue
        if entry.line.startswith("#"):
            counts[entry.recipe][entry.line[1:]] += entry.amount
        else:
            money[entry.recipe][entry.line] += entry.amount
    works = [
        Work(
            recipe=recipe,
            stages={
                line: from_nano(nano)
                for line, nano in money[recipe].items()
                if line not in book.requests and line not in (REWORK, RETRY)
            },
            requests={
                line: from_nano(nano)
                for line, nano in money[recipe].items()
                if line in book.requests
            },
            rework_usd=from_nano(money[recipe][REWORK]),
            retry_usd=from_nano(money[recipe][RETRY]),
            counts=dict(counts[recipe]),
        )
        for recipe in sorted(money.keys() | counts.keys())
    ]
    return tuple(sorted(works, key=lambda work: -work.stages_usd))


def _fleet(entries: Iterable[Entry]) -> dict[str, Decimal]:
    lines: Counter[str] = Counter()
    for entry in entries:
        if not entry.recipe and entry.line != TREE and not entry.line.startswith("#"):
            lines[entry.line] += entry.amount
    return {line: from_nano(nano) for line, nano in lines.items()}


def _hours(entries: Iterable[Entry], learned: Iterable[Mapping[str, int]]) -> tuple[Hour, ...]:
    jobs_ms: Counter[str] = Counter()
    for entry in entries:
        if entry.line == "#wall_ms" and len(entry.bucket) == _HOUR_NAME:
            jobs_ms[entry.bucket] += entry.amount
    times: dict[str, dict[str, dict[str, float]]] = {}
    for fields in learned:
        for name, number in fields.items():
            begin, _, rest = name.partition("|")
            if begin == RAN:
                hour, machine, what = rest.split("|")
                by_machine = times.setdefault(hour, {}).setdefault(machine, {})
                by_machine[what.replace("_ms", "_s")] = number / 1000
    return tuple(
        Hour(
            start=dt.datetime.fromisoformat(hour).replace(tzinfo=dt.UTC),
            ran={machine: Ran(**seconds) for machine, seconds in times[hour].items()},
            jobs_s=jobs_ms[hour] / 1000,
        )
        for hour in sorted(times)
    )


def _made(
    learned: Iterable[Mapping[str, int]],
) -> tuple[tuple[Made, ...], tuple[Tried, ...], tuple[HigherEffort, ...]]:
    sums: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for fields in learned:
        for name, number in fields.items():
            begin, _, rest = name.partition("|")
            if begin != MADE:
                continue
            recipe, about, which, what = rest.split("|")
            found = sums[recipe, about, which]
            found[what] = max(found[what], number) if "peak" in what else found[what] + number
    made = tuple(
        Made(
            recipe,
            which,
            found["images"],
            found["pixels"],
            found["cpu_ms"] / 1000,
            found["peak_bytes"],
        )
        for (recipe, about, which), found in sorted(sums.items())
        if about == "machine"
    )
    tried = tuple(
        Tried(recipe, which, found["files"], found["cpu_ms"] / 1000, found["lost_ms"] / 1000)
        for (recipe, about, which), found in sorted(sums.items())
        if about == "format"
    )
    higher = tuple(
        HigherEffort(recipe, found["cpu_ms"] / 1000, from_nano(found["spared_nano"]))
        for (recipe, about, _), found in sorted(sums.items())
        if about == "effort"
    )
    return made, tried, higher


def _months(first: dt.datetime, last: dt.datetime) -> list[str]:
    months: list[str] = []
    at = first.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while at <= last:
        months.append(f"{at:%Y-%m}")
        at = (at + dt.timedelta(days=32)).replace(day=1)
    return months


def _numbers(fields: Mapping[bytes, bytes]) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in fields.items()}
