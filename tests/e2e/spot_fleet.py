"""A fleet for tests of workers' ends: jobs of a known length, a metadata service of its own."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

from PIL import Image

from pixfleet.config import keys
from pixfleet.config.queues import QUEUES
from pixfleet.producer import ImageJob, Producer, Recipe, VariantSpec
from pixfleet.producer.roster import Roster
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.fleet.process import WorkerProcess
from tests.metadata import Metadata

SMALL = (VariantSpec(name="v", width=20, formats=("jpeg",)),)
SLOW = Path(__file__).with_name("slow")


class SpotFleet:
    """A broker and workers that are started one by one, each with two children."""

    def __init__(self, state: Path, **settings: str) -> None:
        self.state = state
        self.metadata = Metadata()
        self._settings = settings
        self._stack = ExitStack()
        self._workers = ExitStack()

    def __enter__(self):
        self.broker = self._stack.enter_context(EmbeddedBroker(self.state))
        self._stack.enter_context(self.metadata)
        self.producer = Producer(self.broker.url)
        self.redis = self.producer.ledger.redis
        return self

    def __exit__(self, *_):
        self.stop_workers()
        self._stack.close()

    def stop_workers(self) -> None:
        self._workers.close()

    def worker(
        self, *, on_spot: bool = False, children: int = 2, wait: bool = True, **settings: str
    ) -> WorkerProcess:
        """A worker that is ready; only ``on_spot`` it has a metadata service."""
        watch = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata.url} if on_spot else {}
        worker = WorkerProcess(
            self.redis,
            children=children,
            environment={
                "PYTHONPATH": str(SLOW),
                "PIXFLEET_BROKER": self.broker.url,
                "PIXFLEET_STATE": str(self.state),
                "PIXFLEET_MEMO_ENABLED": "false",
                "PIXFLEET_SPOT_WATCH": "auto" if on_spot else "off",
                "PIXFLEET_SPOT_POLL_S": "0.5",
                **watch,
                **self._settings,
                **settings,
            },
            log=self.state / "worker.log",
        )
        self._workers.enter_context(worker)
        if wait:
            worker.wait_ready()
        return worker

    def submit(
        self, count: int, seconds: float, recipe: str = "slow", *, variants=SMALL, **options
    ):
        """Jobs whose source takes a child about so long; the answer is their handles."""
        source = self.state / f"{seconds}.tif"
        Image.new("RGB", (40, round(seconds * 10)), "teal").save(source)
        wanted = Recipe(name=recipe, variants=variants, **options)
        return [
            self.producer.submit(
                ImageJob(
                    source=str(source),
                    output=str(self.state / "out" / recipe / str(index)),
                    recipe=wanted,
                )
            )
            for index in range(count)
        ]

    def teach(self, seconds: float, recipe: str = "slow") -> None:
        """Let the workers learn how long a recipe takes."""
        for handle in self.submit(2, seconds, recipe):
            handle.result(60)

    def states(self, handles) -> dict[str, int]:
        """How many jobs are in which state."""
        found = [handle.status().state for handle in handles]
        return {state: found.count(state) for state in sorted(set(found))}

    def wait_running(self, count: int, timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while self.redis.zcard(keys.RUNNING) < count:
            assert time.monotonic() < deadline, "no job began"
            time.sleep(0.02)

    def wait_gone(self, worker: WorkerProcess, timeout_s: float = 60) -> float:
        """Seconds until the process had ended by itself."""
        start = time.monotonic()
        while worker.exit_code is None:
            assert time.monotonic() - start < timeout_s, self.log[-3000:]
            time.sleep(0.02)
        return time.monotonic() - start

    def eventually(self, holds, timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, self.log[-3000:]
            time.sleep(0.05)

    def listed(self, name: str):
        """The worker as the roster has it."""
        return next(one for one in Roster(self.redis).workers() if one.name == name)

    @property
    def queued(self) -> int:
        """Messages that wait in a queue."""
        return sum(self.redis.llen(queue) for queue in QUEUES)

    @property
    def unacked(self) -> int:
        """Messages that some worker holds."""
        return self.redis.hlen("unacked")

    @property
    def totals(self) -> dict[str, int]:
        found = self.redis.hgetall(keys.TOTALS)
        return {name.decode(): int(value) for name, value in found.items()}

    @property
    def log(self) -> str:
        return (self.state / "worker.log").read_text()

    def logged(self, event: str) -> list[dict]:
        """The lines of workers' logs that tell of an event."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]
