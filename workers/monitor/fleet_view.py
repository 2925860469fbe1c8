"""The fleet as people look at it: how fast, how much waits, how long things take, who is there."""

from __future__ import annotations

import datetime as dt
import time
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pixfleet.config.budgets import FLEET
from pixfleet.producer.roster import Roster
from pixfleet.workers.spend.budgets import BudgetBook
from pixfleet.workers.spend.outlook import IDLE

from .collect import FleetReader
from .histogram import Histogram
from .history import History
from .rates import Rates, more, rates
from .recent import FailedJob, RecentJobs, SlowJob

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pixfleet.producer.ledger import Ledger
    from pixfleet.producer.roster import Worker
    from pixfleet.workers.spend.budgets import Standing

    from .collect import Reading

_RATES_S: Final = 15.0
"""Time over which rates are taken: long enough not to flicker, short enough to be now."""
_RECENT_S: Final = 60.0
"""Age up to which what is remembered stands in for an earlier look of our own."""
_SHORT_S: Final = 300
_LONG_S: Final = 3600
_FEW: Final = 20
"""Jobs below which percentiles of five minutes say little, so that the hour's are shown."""
_BASES_S: Final = 15.0
"""Age at which what was five minutes and an hour ago is looked up again."""
_WORKERS: Final = 200
_FAILED: Final = 20
_SLOW: Final = 10
_BADNESS: Final = {"gone": 0, "draining": 1, "at risk": 2, "working": 3}


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue at this moment."""

    name: str
    waiting: int | None
    """jobs that a worker could begin now; None of queues that hold steps of jobs in work"""
    oldest_s: float
    """since the oldest of them was submitted, 0 where none waits"""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long jobs or a stage of theirs took."""

    name: str
    """job:wait, job:work, job:total, or stage:NAME"""
    count: int
    p50_s: float
    p95_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class MachineKind:
    """Workers on one kind of machine, on the same terms."""

    name: str
    workers: int
    active: int
    children: int
    hour_usd: Decimal


@dataclass(frozen=True, slots=True)
class FleetView:
    """The fleet at one moment.

    Attributes:
        at_s: UTC seconds, by Redis' clock.
        rates: over the last 15 s or so; None at the first look at an empty history.
        today_usd: spent this UTC day, idle machines included.
        latencies_over_s: how far back latencies look: five minutes, or an hour if little happened.
        failures: jobs by code of their failures in the last hour, most first.
        crew: the workers, those that need attention first; ``crew_more`` are left out.
        day_budget: the fleet's budget of a day.
        worst_budget: that holds jobs back or makes them thrifty; None: all is normal.
    """

    at_s: float
    reading: Reading
    rates: Rates | None
    queues: tuple[Queue, ...]
    today_usd: Decimal
    latencies: tuple[Latency, ...]
    latencies_over_s: int
    failures: tuple[tuple[str, int], ...]
    crew: tuple[Worker, ...]
    crew_more: int
    machines: tuple[MachineKind, ...]
    failed: tuple[FailedJob, ...]
    slowest: tuple[SlowJob, ...]
    in_work: tuple[SlowJob, ...]
    day_budget: Standing | None
    worst_budget: Standing | None


class FleetWatch:
    """Looks at one fleet, again and again.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._fleet = FleetReader(ledger.redis)
        self._history = History(ledger.redis)
        self._roster = Roster(ledger.redis)
        self._jobs = RecentJobs(ledger)
        self._budgets = BudgetBook(ledger)
        self._readings: deque[Reading] = deque()
        self._bases: dict[int, Reading | None] = {}
        self._bases_s = 0.0

    def look(self) -> FleetView:
        """The fleet as it is now, in some twenty round trips."""
        reading = self._fleet.read()
        now = dt.datetime.fromtimestamp(reading.at_s, dt.UTC)
        today = self._fleet.today_usd(reading)
        over_s, took = self._took(reading)
        crew = sorted(self._roster.workers(), key=lambda one: (_BADNESS[one.state], one.name))
        standings = self._budgets.standings()
        return FleetView(
            at_s=reading.at_s,
            reading=reading,
            rates=self._rates(reading),
            queues=tuple(
                Queue(name, reading.queued.get(name), age) for name, age in reading.oldest_s.items()
            ),
            today_usd=today.get(FLEET, Decimal(0)) + today.get(IDLE, Decimal(0)),
            latencies=tuple(_latencies(took)),
            latencies_over_s=over_s,
            failures=tuple(self._failures(reading)),
            crew=tuple(crew[:_WORKERS]),
            crew_more=max(0, len(crew) - _WORKERS),
            machines=tuple(_machines(crew)),
            failed=tuple(self._jobs.failed(_FAILED)),
            slowest=tuple(self._jobs.slowest(now, _SLOW)),
            in_work=tuple(self._jobs.in_work(reading.at_s, _SLOW)),
            day_budget=next((one for one in standings if one.budget.id == f"{FLEET}|day"), None),
            worst_budget=max(
                (one for one in standings if one.rung != "normal"),
                key=lambda one: (("thrifty", "essential", "closed").index(one.rung), one.ends_at),
                default=None,
            ),
        )

    def _rates(self, reading: Reading) -> Rates | None:
        kept = self._readings
        if kept and reading.at_s < kept[-1].at_s:  # another Redis, or its clock was set back
            kept.clear()
        before = None if kept else self._history.newest_until(reading.at_s)
        if before and reading.at_s - before.at_s <= _RECENT_S:
            kept.append(before)
        kept.append(reading)
        while len(kept) > 1 and kept[1].at_s <= reading.at_s - _RATES_S:
            kept.popleft()
        return rates(kept[0], reading)

    def _base(self, reading: Reading, back_s: int) -> Reading | None:
        """What had come about by then; None: nothing, for no row is so old."""
        if time.monotonic() - self._bases_s > _BASES_S:
            self._bases = {
                span_s: self._history.newest_until(reading.at_s - span_s)
                for span_s in (_SHORT_S, _LONG_S)
            }
            self._bases_s = time.monotonic()
        return self._bases[back_s]

    def _took(self, reading: Reading) -> tuple[int, Mapping[str, Histogram]]:
        found: Mapping[str, Histogram] = {}
        for span_s in (_SHORT_S, _LONG_S):
            base = self._base(reading, span_s)
            before = base.took if base else {}
            found = {
                name: taken.since(before.get(name, Histogram()))
                for name, taken in reading.took.items()
            }
            if found.get("job:total", Histogram()).count >= _FEW:
                return span_s, found
        return _LONG_S, found

    def _failures(self, reading: Reading) -> Iterable[tuple[str, int]]:
        base = self._base(reading, _LONG_S)
        found = more(base.failures if base else {}, reading.failures)
        return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))


def _latencies(took: Mapping[str, Histogram]) -> Iterable[Latency]:
    for name, taken in took.items():
        p50_s, p95_s, p99_s = (taken.quantile_s(share) for share in (0.5, 0.95, 0.99))
        if p50_s is not None and p95_s is not None and p99_s is not None:
            yield Latency(name, taken.count, p50_s, p95_s, p99_s)


def _machines(crew: Iterable[Worker]) -> Iterable[MachineKind]:
    kinds: dict[str, list[Worker]] = {}
    for worker in crew:
        if worker.state != "gone":
            kinds.setdefault(worker.machine or "unknown", []).append(worker)
    for name, workers in sorted(kinds.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        yield MachineKind(
            name=name,
            workers=len(workers),
            active=sum(worker.active or 0 for worker in workers),
            children=sum(worker.children or 0 for worker in workers),
            hour_usd=sum((worker.hour_usd or Decimal(0) for worker in workers), Decimal(0)),
        )
