"""The workers of a storm: as many as there should be, whatever happens to them."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from tests.chaos.worker import Worker

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping
    from pathlib import Path

MARK = "PIXFLEET_TEST_STORM"


@dataclass
class Fleet:
    """A fixed number of workers; one that is gone is replaced by the next machine."""

    size: int
    environment: Mapping[str, str]
    logs: Path
    workers: list[Worker] = field(default_factory=list)
    left_by_themselves: list[str] = field(default_factory=list)
    """workers that ended though nobody told them to, and the end of their logs"""
    _count: int = 0
    _told: set[int] = field(default_factory=set)

    def tend(self) -> None:
        """Bury the dead and fill their places."""
        for worker in list(self.workers):
            if not worker.alive:
                self.workers.remove(worker)
                if worker.process.pid not in self._told:
                    self.left_by_themselves.append(
                        f"{worker.name} exited {worker.process.returncode}:\n{worker.tail(4)}"
                    )
        while len(self.staying) < self.size:
            self.start()

    def start(self, **more: str) -> Worker:
        self._count += 1
        host = f"m{self._count}"
        worker = Worker(
            host, environment={**self.environment, **more}, log=self.logs / f"{host}.log"
        )
        self.workers.append(worker)
        return worker

    def start_skewed(self, clock: Path, seconds: int) -> Worker:
        """A worker whose clock is wrong by so much, and that is one more than there should be."""
        worker = self.start(LD_PRELOAD=str(clock), PIXFLEET_TEST_SKEW_S=str(seconds))
        self._told.add(worker.process.pid)
        return worker

    def tell(self, worker: Worker, number: signal.Signals, *, whole: bool = False) -> None:
        """A signal after which the worker may end."""
        self._told.add(worker.process.pid)
        (worker.signal_all if whole else worker.signal)(number)

    @property
    def staying(self) -> list[Worker]:
        """Workers that were not told to go."""
        return [worker for worker in self.workers if worker.process.pid not in self._told]

    def pick(self, rng: random.Random, owners: list[str]) -> Worker | None:
        """A worker that is at work and was left alone so far; one of the owners' if possible."""
        free = [worker for worker in self.staying if not worker.frozen and worker.children]
        busy = [worker for worker in free if any(worker.owns(owner) for owner in owners)]
        return rng.choice(busy or free) if free else None

    def end(self) -> None:
        """All workers at once, in good order."""
        for worker in self.workers:
            if worker.alive:
                worker.signal_all(signal.SIGCONT)
                self.tell(worker, signal.SIGTERM)
        for worker in self.workers:
            worker.end()

    def processes(self) -> list[psutil.Process]:
        """Every process on this machine that belongs to the fleet, whoever its parent is."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            variables: dict[str, Any] = process.environ()
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False
        return alive and variables.get(MARK) == self.environment[MARK]
