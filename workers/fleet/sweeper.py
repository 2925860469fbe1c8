"""The sweeper: finds what was lost in the fleet, and puts it on the queue again.

It looks into the ledger alone, queues messages and ends nothing: a worker that takes such a job up
sees whether it is to be done again, or to end as late, cancelled or used up.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from celery import bootsteps

from pixfleet.config import keys
from pixfleet.config.contract import TASK_TIDY
from pixfleet.config.queues import ENCODE, QUEUES
from pixfleet.producer.connection import answering, connect
from pixfleet.producer.ledger import Ledger
from pixfleet.producer.sqs import post_of
from pixfleet.workers.monitor.collect import FleetReader
from pixfleet.workers.monitor.history import RINGS, History
from pixfleet.workers.spend.alerts import AlertingThread
from pixfleet.workers.spend.book import SpendBook
from pixfleet.workers.spend.budgets import BudgetBook, BudgetFile

from .ending import SwiftEnding
from .large import LargeLane
from .webhooks import Outbox

if TYPE_CHECKING:
    from celery.worker import WorkController

    from pixfleet.config.settings import Settings

_MOST: Final = 100
"""Jobs of each kind that one look puts on the queue: Redis does nothing else meanwhile."""
_EMPTY_S: Final = 30
"""What is queued so long on an empty queue was lost, or lies with a worker, where a second message
does no harm."""
_LOST_S: Final = 900
"""When jobs that came so much later were taken from a queue, what is still on it was lost."""
_SUMMARY_S: Final = 15
_TIDY_S: Final = 600
"""Between two looks for what killed processes left in the store."""
_COMPACT_S: Final = 600
"""Between two looks for sums of hours that are old enough to become sums of days."""
_TURNS: Final = 3
"""Looks that a sweeper may miss before another process takes over."""
_log = structlog.get_logger(__name__)


class Sweeper:
    """One process's claim to sweep, and the sweeping."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._redis = connect(settings.ledger_url)
        self._ledger = Ledger(self._redis, settings.queue, post_of(settings))
        self._script = self._ledger.scripts.load("pixfleet.workers.fleet", "sweep")
        self._outbox = Outbox(self._ledger)
        self._large = LargeLane(
            self._redis, self._ledger.scripts, wait_s=settings.worker.large_wait_s
        )
        file = settings.spend.budgets
        self._budgets = BudgetFile(BudgetBook(self._ledger), Path(file)) if file else None
        self._spend, self._kept = SpendBook(self._ledger), settings.spend
        self._compacted_s = self._recorded_s = -math.inf
        self._fleet, self._history = FleetReader(self._redis), History(self._redis)
        self._lease_s = settings.worker.lease_s
        self._name = name
        self._lost_s = max(_LOST_S, settings.broker.visibility_s)
        # Nobody knows whether a queue on SQS is empty: what a dead poll hid has come back by then.
        self._stall_s = 2 * settings.broker.visibility_s if settings.broker.on_sqs else self._lost_s
        self.interval_s = settings.worker.sweep_interval_s

    def sweep(self) -> dict[str, int]:
        """Look once, unless another process does; what was found, by kind.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        if not self._mine():
            return {}
        if self._budgets:
            self._budgets.look()
        *counts, batches = self._ledger.scripts.run(
            self._script,
            *(_MOST, ENCODE, _EMPTY_S, self._lost_s, self._stall_s, _SUMMARY_S),
            int(self._owners_had_time()),
            *QUEUES,
        )
        self._tidy()
        self._record()
        if time.monotonic() - self._compacted_s > _COMPACT_S:
            self._compacted_s = time.monotonic()
            self._spend.compact(self._kept.hours_kept_days, self._kept.days_kept_days)
        for batch in batches:
            self._ledger.summarize(batch.decode())
        kinds = ("leases", "parts", "delayed", "late", "messages", "released")
        found = dict(zip(kinds, counts, strict=True)) | {
            "summaries": len(batches),
            "webhooks": self._outbox.send_due(_MOST),
            "unserved": self._large.give_up(),
        }
        return {kind: count for kind, count in found.items() if count}

    def resign(self) -> None:
        """Let another process sweep at once.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        with answering(self._redis):
            if self._redis.get(keys.SWEEPER) == self._name.encode():
                self._redis.delete(keys.SWEEPER)

    def _owners_had_time(self) -> bool:
        """Has Redis been there for a lease? Before that, its owners could not renew theirs."""
        with answering(self._redis):
            facts = cast("dict[str, int]", self._redis.info("server"))
        return facts["uptime_in_seconds"] >= int(self._lease_s)

    def _tidy(self) -> None:
        with answering(self._redis):
            due = self._redis.set(keys.TIDIED, self._name, nx=True, ex=_TIDY_S)
        if due:
            self._ledger.post(TASK_TIDY, [{}])

    def _record(self) -> None:
        """One process sweeps wherever anything runs, so it also is who remembers."""
        if time.monotonic() - self._recorded_s < RINGS[0].step_s:
            return
        self._recorded_s = time.monotonic()
        try:
            self._history.record(self._fleet.read())
        except Exception as error:  # noqa: BLE001 (what is lost is looked for all the same)
            _log.warning("history.failed", error=f"{type(error).__name__}: {error}")

    def _mine(self) -> bool:
        lasts_ms = int(self.interval_s * _TURNS * 1000)
        with answering(self._redis):
            if self._redis.set(keys.SWEEPER, self._name, nx=True, px=lasts_ms):
                return True
            if self._redis.get(keys.SWEEPER) != self._name.encode():
                return False
            # Two at once, should the name expire just now, would send the same messages twice.
            return bool(self._redis.pexpire(keys.SWEEPER, lasts_ms))


class SweepingThread(threading.Thread):
    """Sweeps until it is told to stop; a ledger that is away is awaited."""

    def __init__(self, settings: Settings, name: str) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._sweeper = Sweeper(settings, name)
        self._alerts = AlertingThread(settings, name)
        self._over = threading.Event()

    def run(self) -> None:
        """Look at every interval."""
        self._alerts.start()
        while not self._over.wait(self._sweeper.interval_s):
            try:
                found = self._sweeper.sweep()
            except ConnectionError as error:
                _log.warning("sweeper.blind", error=str(error))
                continue
            except Exception:  # noqa: BLE001 (as the comment says)
                _log.exception("sweeper.failed")  # the next look may succeed; the fleet needs it
                continue
            if found:
                _log.info("sweeper.found", **found)

    def stop(self) -> None:
        """Sweep no more."""
        self._over.set()
        self._alerts.stop()
        with suppress(ConnectionError):  # its name expires
            self._sweeper.resign()


class Sweep(bootsteps.StartStopStep):
    """The sweeper of a worker, in its main process."""

    requires = (SwiftEnding,)

    def __init__(self, worker: WorkController, **_: Any) -> None:
        super().__init__(worker)
        self._thread: SweepingThread | None = None

    def start(self, parent: Any) -> None:
        """After the fork of the first children, which need no thread of ours."""
        app: Any = parent.app
        self._thread = SweepingThread(app.conf["pixfleet_settings"], parent.hostname)
        self._thread.start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002 (Celery's signature)
        """Before the worker waits for its last tasks."""
        if self._thread:
            self._thread.stop()
