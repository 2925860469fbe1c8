"""Work that a worker throws away because it has to go: told to the ledger, which charges it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from pixfleet.config import keys
from pixfleet.config.contract import TASK_PREPARE
from pixfleet.producer.connection import LedgerUnavailableError, answering, connect
from pixfleet.producer.sqs import post_of

from .jobs import Abandonment
from .owner import owner_name
from .trials import forgive

if TYPE_CHECKING:
    from pixfleet.config.settings import Settings

    from .losses import StepRequest


class Rework:
    """Steps that are given back, each told once."""

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
            if step.name == TASK_PREPARE:
                goes_on = word.tell(step.job_id, owner, "given_back", why) >= 0
            elif part := step.part:
                took_s = time.time() - step.time_start if step.time_start else 0.0
                word.part_given_back(step.job_id, *part, settings.worker.lease_s, took_s)
            with answering(client):
                client.hincrby(keys.TOTALS, "given_back", 1)
        return goes_on
