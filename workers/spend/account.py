"""A worker's account: what its machine costs for being there, and what its processes used of it.

Said by the main process every few seconds as totals since it began, so that a word that is lost or
said twice changes nothing. With the receipts of jobs it makes up the bill: what the processes used
and no receipt names is overhead, what nobody used is idle time.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import structlog
from celery import bootsteps

from pixfleet.config.prices import load_prices
from pixfleet.producer.connection import LedgerUnavailableError, connect
from pixfleet.producer.scripts import Scripts
from pixfleet.workers.fleet.ending import SwiftEnding
from pixfleet.workers.fleet.owner import owner_name

from .machine import this_machine

if TYPE_CHECKING:
    from celery.worker import WorkController

    from pixfleet.config.settings import Settings

    from .machine import Machine

_EVERY_S: Final = 2.0
_BEGAN_FIELD: Final = 19
"""Of what follows the name in /proc/PID/stat: when it began, ticks since the machine did."""
_log = structlog.get_logger(__name__)


def _age_ns() -> int:
    """How long this process has been there: what it took to start is paid for as well."""
    try:
        fields = Path("/proc/self/stat").read_text("latin-1").rpartition(")")[2].split()
        began_s = int(fields[_BEGAN_FIELD]) / os.sysconf("SC_CLK_TCK")
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - began_s
    except (OSError, AttributeError):  # no Linux
        age_s = time.time() - psutil.Process().create_time()
    return max(0, int(age_s * 1e9))


class TreeClock:
    """CPU time of this process, its children, and those of them that are gone."""

    def __init__(self) -> None:
        self._own = psutil.Process()
        self._most_s = 0.0

    def read_s(self) -> float:
        """CPU seconds so far; never less than before, though a child may just be dying."""
        times = self._own.cpu_times()
        total_s = times.user + times.system + times.children_user + times.children_system
        for child in self._own.children(recursive=True):
            with suppress(psutil.Error):
                used = child.cpu_times()
                total_s += used.user + used.system + used.children_user + used.children_system
        self._most_s = max(self._most_s, total_s)
        return self._most_s


class Account:
    """What this process has to say; ``began_ns`` is on the monotonic clock."""

    def __init__(self, settings: Settings, machine: Machine, children: int, began_ns: int) -> None:
        self._scripts = Scripts(connect(settings.ledger_url), settings.queue, None)
        self._script = self._scripts.load("pixfleet.producer", "account")
        self._machine = machine
        self._children = children
        self._began_ns = began_ns
        self._tree = TreeClock()
        self._name = f"{owner_name()}:{began_ns}"

    def say(self) -> None:
        """Charge what came about since the last time.

        Raises:
            LedgerUnavailableError: Redis did not answer; the next word makes up for it.
        """
        wall_ns = time.monotonic_ns() - self._began_ns
        tree_s = self._tree.read_s()
        used = self._machine.cores_nano(tree_s * 1e9)
        self._scripts.tell_requests()
        name, wall_ms = self._machine.rates.machine, wall_ns / 1e6
        self._scripts.ask(
            self._script,
            self._name,
            *("capacity", self._machine.capacity_nano(wall_ns), "tree", used),
            *(f"{name}|vcpu_ms", round(wall_ms * self._machine.vcpus)),
            *(f"{name}|child_ms", round(wall_ms * self._children)),
            *(f"{name}|tree_ms", round(tree_s * 1000)),
        )


class KeepAccount(bootsteps.StartStopStep):
    """The thread of a worker's main process that says it, for as long as the process is there.

    Stopped after the last jobs have ended (``GiveBack``) and before idle children are killed.
    """

    requires = (SwiftEnding,)

    def __init__(self, worker: WorkController, **_: Any) -> None:
        super().__init__(worker)
        self._began_ns = time.monotonic_ns() - _age_ns()
        self._account: Account | None = None

    def start(self, parent: Any) -> None:
        """After the fork of the first children, which need no thread of ours."""
        settings: Settings = parent.app.conf["pixfleet_settings"]
        book = load_prices(settings.money.book)
        machine = this_machine(settings, book, parent.concurrency)
        if machine.warning:
            _log.warning("prices.doubtful", why=machine.warning)
        parent.machine = machine  # who describes the worker needs it
        self._account = Account(settings, machine, parent.concurrency, self._began_ns)
        atexit.register(self._say)  # its pool's end takes Celery a second
        threading.Thread(target=self._run, name="account", daemon=True).start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002 (Celery's signature)
        """The last word, if whoever waits for the worker's end kills it as soon as it is idle."""
        self._say()

    def _run(self) -> None:
        while True:
            time.sleep(_EVERY_S)
            self._say()

    def _say(self) -> None:
        if self._account:
            with suppress(LedgerUnavailableError):
                self._account.say()
