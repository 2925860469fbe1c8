"""Work that a worker throws away because it has to go: told to the ledger, and priced."""

from __future__ import annotations

import contextlib
import time
from decimal import Decimal
from typing import TYPE_CHECKING

from pixfleet.config import keys
from pixfleet.config.contract import TASK_PREPARE
from pixfleet.config.prices import PriceError, load_prices, to_nano
from pixfleet.producer.connection import LedgerUnavailableError, answering, connect
from pixfleet.producer.sqs import post_of

from .jobs import Abandonment
from .owner import owner_name
from .trials import forgive

if TYPE_CHECKING:
    from pixfleet.config.settings import Settings

    from .losses import StepRequest


class Rework:
    """The totals of the ledger that say what going costs: ``given_back``, ``rework_*``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def given_back(self, step: StepRequest, why: str) -> bool:
        """The step's child was ended over it: that is no fault of the job, nor of its encoder.

        True: the ledger has queued the job again. Else the step's message has to come back; without
        a ledger the job waits, too, until its lease is over.
        """
        settings = self._settings
        owner = owner_name(step.worker_pid)
        goes_on = False
        with (
            contextlib.suppress(LedgerUnavailableError),
            connect(settings.ledger_url) as client,
        ):
            forgive(client, step.job_id, owner)
            word = Abandonment(client, settings.queue, post_of(settings))
            totals = {"given_back": 1}
            if step.name == TASK_PREPARE:
                wasted_ms = word.tell(step.job_id, owner, "given_back", why)
                goes_on = wasted_ms >= 0
            else:
                wasted_ms = round((time.time() - step.time_start) * 1e3) if step.time_start else 0
                totals["rework_ms"] = wasted_ms
                if part := step.part:
                    word.part_given_back(step.job_id, *part, settings.worker.lease_s)
            totals["rework_nano_usd"] = self._nano_usd(max(0, wasted_ms))
            with answering(client):
                pipe = client.pipeline()
                for name, number in totals.items():
                    pipe.hincrby(keys.TOTALS, name, number)
                pipe.execute()
        return goes_on

    def _nano_usd(self, wall_ms: int) -> int:
        """A child is given a core, so its wall seconds are a core's."""
        money = self._settings.money
        try:
            usd = load_prices(money.book).rates(money.instance, money.purchase).core_second_usd
        except PriceError:  # every job says so
            return 0
        return to_nano(usd * Decimal(wall_ms) / 1000)
