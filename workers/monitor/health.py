"""Is the fleet well: by its ledger alone, in one round trip."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pixfleet.config import keys
from pixfleet.producer.connection import answering, connect

from .collect import FleetReader

if TYPE_CHECKING:
    from pixfleet.config.settings import Settings

_GRACE_S: Final = 15.0
"""The sweeper looks every few seconds; a lease that was over for longer than this, nobody swept."""


@dataclass(frozen=True, slots=True)
class FleetHealth:
    """What was found; ``ailments`` is empty where all is well."""

    workers: int
    running: int
    waiting: int
    held: int
    """jobs that wait because a budget holds them back"""
    overdue: int
    """jobs in work whose lease is over and that nobody has put on the queue again"""
    ailments: tuple[str, ...]


def fleet_health(settings: Settings) -> FleetHealth:
    """Look at workers, leases and backlog.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """
    client = connect(settings.ledger_url)
    reading = FleetReader(client).read()
    with answering(client):
        overdue = int(client.zcount(keys.RUNNING, "-inf", time.time() - _GRACE_S))
    waiting, held = sum(reading.queued.values()), reading.held
    most = settings.queue.max_backlog
    ailments: list[str] = []
    if not reading.workers:
        ailments.append(f"no worker is alive, and {waiting} jobs wait: start one")
    if overdue:
        ailments.append(
            f"{overdue} jobs were lost by their workers more than {_GRACE_S:g} s ago and nobody "
            "took them up: no worker or monitor sweeps"
        )
    if most and waiting + held >= most:
        ailments.append(
            f"{waiting} jobs wait, {held} are held by budgets, and new ones are refused from "
            f"{most} (PIXFLEET_QUEUE_MAX_BACKLOG): start more workers"
        )
    return FleetHealth(reading.workers, reading.running, waiting, held, overdue, tuple(ailments))
