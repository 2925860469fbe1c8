"""One storm while it lasts: the stream of jobs, the faults in their order, the wait for the end."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from redis.exceptions import RedisError

from pixfleet.config.settings import Settings
from pixfleet.producer import ImageJob, LedgerUnavailableError, Producer
from pixfleet.producer.queues import SqsQueues
from tests.chaos import faults, invariants
from tests.chaos.fleet import MARK, Fleet
from tests.chaos.recovery import Recovery
from tests.chaos.work import Task, Work

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.brokers import LoopbackBroker
    from tests.chaos.aws import Aws
    from tests.chaos.disk import SmallDisk
    from tests.chaos.worker import Worker

_TICK_S: Final = 0.1


@dataclass(frozen=True)
class Plan:
    """What is to be: the same for the same numbers."""

    seed: int
    jobs: int
    faults: int
    broker: Literal["redis", "sqs"] = "redis"
    every_s: float = 2.4
    """mean time between two faults"""
    workers: int = 3
    lease_s: int = 5
    hard_limit_s: int = 30
    """of a task; what a dead worker had is delivered again a second later"""
    settle_s: float = 180
    """time for the fleet to finish in, after the last fault"""


@dataclass
class _Window:
    until_s: float
    undo: Callable[[], None]


@dataclass
class Storm:
    """One run; faults are injected by ``faults``, which work on what is here."""

    plan: Plan
    folder: Path
    valkey: LoopbackBroker
    aws: Aws
    disk: SmallDisk
    clock: Path | None
    """library that makes a process's clock wrong; None: there is no compiler"""
    fleet: Fleet = field(init=False)
    submitted: dict[str, ImageJob] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    """by job id, in the order of submission"""
    done: Counter[str] = field(default_factory=Counter)
    """faults by kind"""

    def __post_init__(self) -> None:
        self.chance = random.Random(f"faults {self.plan.seed}")
        self.state = self.folder / "state"
        self.broker = self.plan.broker
        self.lease_s = self.plan.lease_s
        self.broker_url = self.valkey.url if self.broker == "redis" else "sqs://"
        self.settings = Settings.load().with_broker(self.broker_url, self.valkey.url)
        if self.broker == "sqs":
            SqsQueues(self.settings).create()
        self.recovery = Recovery(self.valkey.client)
        self.producer = Producer(self.broker_url, ledger=self.valkey.url)
        (self.folder / "tmp").mkdir()
        self.fleet = Fleet(self.plan.workers, self._environment(), self.folder / "logs")
        self.work = Work(
            self.plan.seed,
            self.plan.jobs,
            self.folder,
            disk=self.disk.folder if self.disk.mounted else None,
            bucket=True,
        )
        self._windows: list[_Window] = []
        self._leaving: list[tuple[Worker, str, float]] = []
        self._closed: set[str] = set()

    def last(self, _kind: str, seconds: float, undo: Callable[[], None]) -> None:
        """A fault lasts so long."""
        self._windows.append(_Window(time.monotonic() + seconds, undo))

    def leaving(self, worker: Worker, kind: str) -> None:
        """Measure how long the worker takes to be gone."""
        self._leaving.append((worker, kind, time.monotonic()))

    def all_running(self) -> dict[str, int]:
        """Fences of all jobs in work."""
        return {job: fence for job, (_, fence) in self.recovery.running().items()}

    def rage(self) -> None:
        """Submit all jobs, bring all faults, undo the last ones."""
        for _ in range(self.plan.workers):
            self.fleet.start()
        for worker in self.fleet.workers:
            worker.wait_ready(self.valkey.client)
        kinds = faults.possible(self)
        began_s = time.monotonic()
        length_s = self.plan.faults * self.plan.every_s
        pending = iter(self.work)
        task: Task | None = next(pending, None)
        sent = 0
        next_fault_s = began_s + self.plan.every_s
        order: list[str] = []
        while task or self._faults < self.plan.faults or self._windows or self._leaving:
            now_s = time.monotonic()
            while task and sent <= (now_s - began_s) / length_s * self.plan.jobs:
                if not self._submit(task):
                    break
                sent += 1
                task = next(pending, None)
            if self._faults < self.plan.faults and now_s >= next_fault_s:
                # Every kind in turn, in an order by chance, so that none is left out.
                order = order or self.chance.sample(list(kinds), len(kinds))
                if self._bring(order[-1], kinds[order[-1]]):
                    order.pop()
                    next_fault_s = now_s + self.plan.every_s * self.chance.uniform(0.5, 1.5)
                else:
                    order.insert(0, order.pop())
                    next_fault_s = now_s + _TICK_S
            self._tick()

    def settle(self) -> float:
        """Wait until all has ended; how many seconds that took."""
        began_s = time.monotonic()
        for batch, output in self.work.batches.items():
            if batch not in self._closed:
                self.producer.close_batch(batch, output=output)
        while time.monotonic() - began_s < self.plan.settle_s:
            self._tick()
            if invariants.is_quiet(self):
                break
        return time.monotonic() - began_s

    @property
    def _faults(self) -> int:
        return self.done.total()

    def _bring(self, kind: str, fault: Callable[[Storm], bool]) -> bool:
        try:
            if not fault(self):
                return False
        except (RedisError, OSError) as error:
            print(f"{kind} did not come about: {error}", file=sys.stderr)
            return False
        self.done[kind] += 1
        return True

    def _submit(self, task: Task) -> bool:
        try:
            handle = self.producer.submit(task.job)
            self.submitted[handle.id] = task.job
            self.tasks.setdefault(handle.id, task)
            for batch, output in list(self.work.batches.items())[:-1]:
                if batch not in self._closed:
                    self.producer.close_batch(batch, output=output)
                    self._closed.add(batch)
        except (LedgerUnavailableError, OSError):
            return False  # the same key comes again, so it does not matter whether it arrived
        return True

    def _tick(self) -> None:
        self.fleet.tend()
        now_s = time.monotonic()
        for window in [window for window in self._windows if window.until_s <= now_s]:
            window.undo()
            self._windows.remove(window)
        for leaving in [leaving for leaving in self._leaving if not leaving[0].alive]:
            _, kind, since_s = leaving
            self.recovery.took(kind, now_s - since_s, leaving[0].name)
            self._leaving.remove(leaving)
        self.recovery.look()
        time.sleep(_TICK_S)

    def _environment(self) -> dict[str, str]:
        return {
            **self.aws.environment,
            MARK: self.folder.name,
            "TMPDIR": str(self.folder / "tmp"),
            "PIXFLEET_BROKER": self.broker_url,
            "PIXFLEET_LEDGER": self.valkey.url,
            "PIXFLEET_STATE": str(self.state),
            "PIXFLEET_VISIBILITY_TIMEOUT_S": str(self.plan.hard_limit_s + 1),
            "PIXFLEET_WORKER_HARD_TIME_LIMIT_S": str(self.plan.hard_limit_s),
            "PIXFLEET_WORKER_SOFT_TIME_LIMIT_S": str(self.plan.hard_limit_s - 1),
            "PIXFLEET_WORKER_SOFT_SHUTDOWN_S": "1",
            "PIXFLEET_WORKER_LEASE_S": str(self.plan.lease_s),
            "PIXFLEET_WORKER_MAX_ATTEMPTS": "12",
            "PIXFLEET_SQS_MAX_RECEIVES": "100",
            "PIXFLEET_MEMO_LOCK_S": "3",
        }
