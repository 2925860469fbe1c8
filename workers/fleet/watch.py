"""Watches for what ends a worker: a notice of its machine's end, `pixfleet drain`, SIGTERM."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery import bootsteps, signals
from celery.worker import state

from pixfleet.config import keys
from pixfleet.producer.connection import LedgerUnavailableError, answering, connect

from .ending import SwiftEnding
from .notice import GIVE_BACK_S, Notices
from .spot import MetadataError, MetadataService, metadata_service

if TYPE_CHECKING:
    from celery.worker import WorkController

    from pixfleet.config.settings import Settings

_LONGEST_NOTICE_S: Final = 120.0
"""EC2 gives two minutes; a clock that is wrong must not make more of them."""
_LISTED_S: Final = 60
_NOTICED_S: Final = 86_400
_HOUR_NS: Final = 3_600 * 10**9
_log = structlog.get_logger(__name__)


class Watch(bootsteps.StartStopStep):
    """Two threads of the worker's main process; stopped when its work has been given back.

    One asks the metadata service and is the clock that no other service can stop. The other looks
    into Redis and says there how the worker is. What they find goes the way of SIGTERM.
    """

    requires = (SwiftEnding,)

    def __init__(self, worker: WorkController, **_: Any) -> None:
        super().__init__(worker)
        app: Any = worker.app
        settings: Settings = app.conf["pixfleet_settings"]
        self._settings = settings.spot
        self._soft_s = settings.worker.soft_shutdown_s
        self._redis = connect(settings.ledger_url)
        self._worker: Any = worker
        self._worker.notices = self._notices = Notices()
        self._stopped = threading.Event()
        self._mood = "working"
        self._uncounted: deque[tuple[str, dt.datetime]] = deque()
        signals.worker_shutting_down.connect(self._told, weak=False)

    def start(self, parent: Any) -> None:  # noqa: ARG002 (inherited)
        """Look from now on."""
        for name, target in (("clock", self._watch_machine), ("roster", self._watch_ledger)):
            threading.Thread(target=target, name=name, daemon=True).start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002 (inherited)
        """Nothing is left that could be given back, so the rest has to be quick."""
        self._stopped.set()
        self._notices.give("done", 0)
        self._count()

    def _told(self, how: str, sig: str, **_: Any) -> None:
        if how == "Warm":
            self._notices.give(sig, self._soft_s)

    def _go(self, why: str, within_s: float) -> None:
        """End as after SIGTERM, within so many seconds from now."""
        _log.warning("worker.told_to_go", why=why, within_s=round(within_s, 1))
        self._notices.give(why, within_s)
        state.should_stop = 0
        self._worker.consumer.call_soon(lambda: None)  # wakes the loop, which looks at the flag

    def _watch_machine(self) -> None:
        told = ""
        service = self._metadata_service()
        while True:
            time.sleep(self._settings.poll_s)
            if self._notices.overdue():
                self._go_down()
            if service is None or self._stopped.is_set():
                continue
            try:
                told = self._ask(service, told)
            except MetadataError as error:
                if told != str(error):
                    _log.warning("spot.blind", error=str(error))
                told = str(error)

    def _metadata_service(self) -> MetadataService | None:
        try:
            return metadata_service(self._settings.watch)
        except MetadataError as error:
            _log.warning("spot.blind", error=str(error))
            return None

    def _ask(self, service: MetadataService, told: str) -> str:
        if self._mood != "at risk" and (at := service.rebalance()):
            self._mood = "at risk"
            _log.warning("spot.rebalance", at=at.isoformat())
            self._uncounted.append(("rebalances", at))
        if not told.startswith("spot ") and (end := service.interruption()):
            told = f"spot {end.action}"
            left_s = (end.at - dt.datetime.now(dt.UTC)).total_seconds()
            self._uncounted.append(("interruptions", end.at))
            self._go(told, min(left_s, _LONGEST_NOTICE_S) - GIVE_BACK_S)
        return told

    def _count(self) -> None:
        """Once per worker and notice, however often its supervisor starts it again."""
        with contextlib.suppress(LedgerUnavailableError), answering(self._redis):
            for one in tuple(self._uncounted):
                total, at = one
                name = f"{keys.NOTICED}{self._worker.hostname}:{total}:{at.isoformat()}"
                if self._redis.set(name, "1", nx=True, ex=_NOTICED_S):
                    self._redis.hincrby(keys.TOTALS, total, 1)
                with contextlib.suppress(ValueError):  # the other thread was here
                    self._uncounted.remove(one)

    def _watch_ledger(self) -> None:
        drained = False
        while not self._stopped.wait(self._settings.poll_s):
            with contextlib.suppress(LedgerUnavailableError):
                within = self._sign_of_life()
                if within is not None and not drained:
                    drained = True
                    self._go("drain", within)
            self._count()

    def _sign_of_life(self) -> float | None:
        """Say how the worker is; the answer is how long it may take to drain, if it shall."""
        name: str = self._worker.hostname
        notice = self._notices.notice
        left_s = notice.deadline_s - time.monotonic() if notice else 0.0
        fields: dict[Any, Any] = {
            "state": "draining" if notice else self._mood,
            "why": notice.why if notice else "",
            "until": f"{time.time() + left_s:.3f}" if notice else "",
            "active": len(state.active_requests),
            "children": self._worker.pool.num_processes,
        }
        # Set when its account is opened.
        if machine := getattr(self._worker, "machine", None):
            fields["machine"] = machine.rates.machine
            fields["hour_nano_usd"] = machine.capacity_nano(_HOUR_NS)
        pipe = self._redis.pipeline(transaction=False)
        pipe.get(keys.DRAIN + name)
        pipe.hset(keys.WORKER + name, mapping=fields)
        pipe.expire(keys.WORKER + name, _LISTED_S)
        if notice:  # its heart stopped with its consumer
            pipe.zadd(keys.WORKERS, {name: time.time()}, xx=True)
        with answering(self._redis):
            asked = pipe.execute()[0]
        return float(asked) if asked is not None else None

    def _go_down(self) -> None:
        """Past its time a worker goes hard: its machine is about to, or somebody is waiting."""
        _log.error("worker.goes_down_hard")
        for pid in self._worker.pool.info["processes"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(1)
