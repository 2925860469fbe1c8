"""One reading of the fleet, from the ledger's own figures."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from pixfleet.config import keys
from pixfleet.config.prices import from_nano
from pixfleet.config.queue_settings import QueueSettings
from pixfleet.config.queues import HOMES, QUEUES
from pixfleet.producer.connection import answering
from pixfleet.producer.scripts import Scripts

from .histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    import redis

_QUEUES: Final = (*HOMES, *(queue for queue in QUEUES if queue not in HOMES))


@dataclass(frozen=True, slots=True)
class Reading:
    """The fleet at one moment.

    Attributes:
        at_s: UTC seconds, by Redis' clock: those of machines may jump.
        queued: jobs that a worker could begin now, by home queue.
        oldest_s: since the oldest such job was submitted, by queue.
        held: jobs that wait because a budget holds them back: no machine would help them.
        running: jobs in work.
        workers: alive, those included that are draining or at risk.
        at_risk: of them, on machines that EC2 recommends to leave.
        draining: of them, that take no more work.
        hour_usd: what having them costs in an hour.
        totals: images, done, failed, bytes_in, bytes_out, pixels, variants, recalled, cpu_ms, …
            since the ledger began; ``fleet_nano_usd`` and ``idle_nano_usd`` add up to all that was
            spent.
        took: how long jobs (``job:wait``, ``job:work``, ``job:total``) and stages
            (``stage:decode``) took, since the ledger began.
        failures: jobs by code of their failures, since the ledger began.
    """

    at_s: float
    queued: Mapping[str, int]
    oldest_s: Mapping[str, float]
    held: int
    running: int
    workers: int
    at_risk: int
    draining: int
    hour_usd: Decimal
    totals: Mapping[str, int]
    took: Mapping[str, Histogram]
    failures: Mapping[str, int]

    @property
    def spent_usd(self) -> Decimal:
        """All that was spent since the ledger began."""
        totals = self.totals
        return from_nano(totals.get("fleet_nano_usd", 0) + totals.get("idle_nano_usd", 0))


class FleetReader:
    """Reads the fleet, in two round trips.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._scripts = Scripts(client, QueueSettings(), None)
        self._look = self._scripts.load("pixfleet.workers.monitor", "look")

    def read(self) -> Reading:
        """The fleet as it is now."""
        stamp, running, crew, waiting, ages = self._scripts.ask(
            self._look, keys.ALIVE_S, len(HOMES), *_QUEUES
        )
        working, at_risk, draining, hour_nano = map(int, crew)
        with answering(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            pipe.hgetall(keys.TOTALS)
            pipe.hgetall(keys.SEEN)
            totals, seen = pipe.execute()
        took, failures = _seen(_numbers(seen))
        return Reading(
            at_s=float(stamp),
            queued=dict(zip(HOMES, waiting[::2], strict=True)),
            oldest_s={queue: float(age) for queue, age in zip(_QUEUES, ages, strict=True)},
            held=sum(waiting[1::2]),
            running=running,
            workers=working + at_risk + draining,
            at_risk=at_risk,
            draining=draining,
            hour_usd=from_nano(hour_nano),
            totals=_numbers(totals),
            took=took,
            failures=failures,
        )

    def today_usd(self, reading: Reading) -> dict[str, Decimal]:
        """Spend of the reading's UTC day by owner: fleet, idle, tenant:NAME, recipe:NAME."""
        day = dt.datetime.fromtimestamp(reading.at_s, dt.UTC).date().isoformat()
        with answering(self._redis):
            spend = cast("dict[bytes, bytes]", self._redis.hgetall(f"{keys.OWNED}day:{day}"))
        return {name: from_nano(value) for name, value in _numbers(spend).items()}


def _numbers(fields: Mapping[bytes, bytes]) -> dict[str, int]:
    # A foreign job may call its recipe anything, and that stands among the owners of money.
    return {name.decode(errors="replace"): int(value) for name, value in fields.items()}


def _seen(sums: Mapping[str, int]) -> tuple[dict[str, Histogram], dict[str, int]]:
    counts: defaultdict[str, dict[int, int]] = defaultdict(dict)
    sums_us: dict[str, int] = {}
    failures: dict[str, int] = {}
    for field, number in sums.items():
        kind, _, rest = field.partition("|")
        if kind == "failed":
            failures[rest] = number
            continue
        name, _, bucket = rest.rpartition("|")
        if bucket == "us":
            sums_us[name] = number
        else:
            counts[name][int(bucket)] = number
    return {name: Histogram(by, sums_us.get(name, 0)) for name, by in counts.items()}, failures
