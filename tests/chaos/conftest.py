"""A Valkey and workers of a test's own, each worker as a machine of its own."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from pixfleet.producer import ImageJob, Producer, Recipe, VariantSpec
from tests.brokers import AS_EMBEDDED, LoopbackBroker
from tests.chaos.pictures import gated
from tests.chaos.worker import Worker

_UNTIL_S = 60.0


class Ground:
    """A fleet to break: start workers, hold a job in its decoder, look at the ledger."""

    def __init__(self, folder: Path, valkey: LoopbackBroker, stack: ExitStack) -> None:
        self.folder = folder
        self.valkey = valkey
        self.gate = folder / "gate"
        self.producer = Producer(valkey.url)
        self._stack = stack

    def worker(self, host: str, *, children: int = 1, ready: bool = True, **variables) -> Worker:
        environment = {
            "PIXFLEET_BROKER": self.valkey.url,
            "PIXFLEET_STATE": str(self.folder / "state"),
            "PIXFLEET_TEST_GATE": str(self.gate),
            "PIXFLEET_WORKER_LEASE_S": "2",
            "PIXFLEET_WORKER_SWEEP_INTERVAL_S": "0.5",
            **{name: str(value) for name, value in variables.items()},
        }
        log = self.folder / f"{host}.log"
        worker = Worker(host, environment=environment, log=log, children=children)
        self._stack.callback(worker.kill)
        if ready:
            worker.wait_ready(self.valkey.client)
        return worker

    def job(self, name: str = "held.tif", data: bytes | None = None, **fields) -> ImageJob:
        """A job on a picture that stays in its decoder while the gate is shut."""
        source = self.folder / name
        source.write_bytes(gated(random.Random(name)) if data is None else data)
        variant = VariantSpec(name="v", width=64, formats=("jpeg",))
        given = {"recipe": Recipe(name="one", variants=(variant,)), **fields}
        return ImageJob(source=str(source), output=str(self.folder / "out"), **given)

    def held(self, **fields):
        """A submitted job that a child is decoding, and will until the gate opens."""
        self.shut()
        handle = self.producer.submit(self.job(**fields))
        until(lambda: handle.status().state == "running", "the job runs")
        return handle

    def shut(self) -> None:
        self.gate.touch()

    def open(self) -> None:
        self.gate.unlink(missing_ok=True)


def until(true, what: str, timeout_s: float = _UNTIL_S) -> float:
    """Wait for a condition; the answer is how many seconds it took."""
    began_s = time.monotonic()
    while not true():
        assert time.monotonic() - began_s < timeout_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - began_s


@pytest.fixture
def ground():
    folder = Path(tempfile.mkdtemp(prefix="ground-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        valkey = stack.enter_context(LoopbackBroker(folder / "valkey", *AS_EMBEDDED))
        ground = Ground(folder, valkey, stack)
        stack.callback(ground.open)
        yield ground
