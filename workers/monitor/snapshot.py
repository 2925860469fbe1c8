"""What the monitor sees: a reading, the day's spend, how budgets stand and where they go."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import structlog

from pixfleet.producer.connection import LedgerUnavailableError, connect
from pixfleet.producer.ledger import Ledger
from pixfleet.workers.spend.budgets import BudgetBook
from pixfleet.workers.spend.outlook import Outlooks

from .collect import FleetReader

if TYPE_CHECKING:
    from pixfleet.config.settings import Settings
    from pixfleet.workers.spend.budgets import Standing

    from .collect import Reading

_FORECAST_EVERY_S: Final = 60.0
"""A forecast reads four weeks of hours and draws a thousand paths: too dear for every reading."""
_log = structlog.get_logger(__name__)

Expected = Mapping[tuple[str, dt.datetime], Decimal]
"""What budgets are expected to come to, by their ids and the ends of their periods; those of which
too little is known are not there."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fleet and its money at one moment."""

    reading: Reading
    today_usd: Mapping[str, Decimal]
    """spend of the UTC day by owner: fleet, idle, tenant:NAME, recipe:NAME"""
    standings: tuple[Standing, ...]
    took_s: float
    """to read it all"""


class Camera:
    """Takes snapshots, in a few round trips.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, settings: Settings) -> None:
        client = connect(settings.ledger_url)
        self._fleet = FleetReader(client)
        self._budgets = BudgetBook(Ledger(client, settings.queue, None))

    def take(self) -> Snapshot:
        """The fleet as it is now."""
        began_s = time.monotonic()
        reading = self._fleet.read()
        today_usd = self._fleet.today_usd(reading)
        standings = tuple(self._budgets.standings())
        return Snapshot(reading, today_usd, standings, time.monotonic() - began_s)


class ForecastThread(threading.Thread):
    """Keeps what budgets are expected to come to, so that readings need not wait for it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="forecasts", daemon=True)
        ledger = Ledger(connect(settings.ledger_url), settings.queue, None)
        self._outlooks = Outlooks(ledger)
        self.expected_usd: Expected = {}

    def run(self) -> None:
        """Look every minute, for as long as the process is there."""
        while True:
            try:
                _, outlooks = self._outlooks.look()
            except LedgerUnavailableError:
                self.expected_usd = {}
            except Exception:  # noqa: BLE001 (a forecast that fails is no reason to say nothing else)
                self.expected_usd = {}
                _log.exception("forecasts.failed")
            else:
                self.expected_usd = {
                    (
                        outlook.standing.budget.id,
                        outlook.standing.ends_at,
                    ): outlook.forecast.expected_usd
                    for outlook in outlooks
                    if outlook.forecast
                }
            time.sleep(_FORECAST_EVERY_S)
