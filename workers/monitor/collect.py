"""One reading of the fleet, from the ledger's own figures."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pixfleet.config import keys
from pixfleet.config.prices import from_nano
from pixfleet.config.queues import HOMES
from pixfleet.config.settings import QueueSettings
from pixfleet.producer.connection import answering
from pixfleet.producer.scripts import Scripts

if TYPE_CHECKING:
    from decimal import Decimal

    import redis


@dataclass(frozen=True, slots=True)
class Reading:
    """The fleet at one moment."""

    at_s: float
    """UTC seconds"""
    queued: dict[str, int]
    """jobs that a worker could begin now, by queue"""
    held: int
    """jobs that wait because a budget holds them back: no machine would help them"""
    running: int
    workers: int
    totals: dict[str, int]
    """images, done, failed, bytes_in, bytes_out, pixels, variants, cpu_ms … since the beginning"""
    today_usd: dict[str, Decimal]
    """spend of this UTC day by owner: fleet, idle, tenant:NAME, recipe:NAME"""


def read_fleet(client: redis.Redis) -> Reading:
    """Read everything in two round trips.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """
    now = time.time()
    day = dt.datetime.now(dt.UTC).date().isoformat()
    scripts = Scripts(client, QueueSettings(), None)
    waiting = scripts.ask(scripts.load("pixfleet.workers.monitor", "waiting"), *HOMES)
    pipe = client.pipeline(transaction=False)
    pipe.zcard(keys.RUNNING)
    pipe.zcount(keys.WORKERS, now - keys.ALIVE_S, "+inf")
    pipe.hgetall(keys.TOTALS)
    pipe.hgetall(f"{keys.OWNED}day:{day}")
    with answering(client):
        running, workers, totals, spend = pipe.execute()
    return Reading(
        at_s=now,
        queued=dict(zip(HOMES, waiting[::2], strict=True)),
        held=sum(waiting[1::2]),
        running=running,
        workers=workers,
        totals=_numbers(totals),
        today_usd={name.decode(): from_nano(int(value)) for name, value in spend.items()},
    )


def _numbers(fields: dict[bytes, bytes]) -> dict[str, int]:
    return {name.decode(): int(value) for name, value in fields.items()}
