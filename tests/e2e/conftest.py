"""A real fleet: an embedded broker and a prefork worker of two children, and the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pixfleet.producer import Producer
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.fleet.process import WorkerProcess

SAMPLES = Path(__file__).parents[2] / "samples"
PIXFLEET = str(Path(sys.executable).with_name("pixfleet"))


@pytest.fixture(scope="session")
def samples():
    return SAMPLES


@pytest.fixture
def state():
    """A state folder of this test's own; short, because a socket may lie below it."""
    folder = Path(tempfile.mkdtemp(prefix="pf-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def command(*arguments: str, state: Path, timeout_s: float = 120, **environment: str):
    """Run ``pixfleet`` as a user would; the answer is the finished process."""
    return subprocess.run(
        [PIXFLEET, *map(str, arguments)],
        env={**os.environ, "PIXFLEET_STATE": str(state), **environment},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.fixture
def pixfleet(state):
    return lambda *arguments, **options: command(*arguments, **{"state": state, **options})


@pytest.fixture
def run_json(pixfleet):
    """``pixfleet run … --json``: (exit code, the object on stdout, manifest lines by name)."""

    def run(source, out, *more, **environment):
        done = pixfleet("run", source, "--out", out, "--json", *more, **environment)
        assert done.stdout, done.stderr
        answer = json.loads(done.stdout)
        return done.returncode, answer, manifests(out)

    return run


def manifests(out: Path) -> dict[str, dict]:
    """The lines of manifest.jsonl by the name of the source's file."""
    lines = (Path(out) / "manifest.jsonl").read_text().splitlines()
    return {Path(line["source"]).name: line for line in map(json.loads, lines)}


class Fleet:
    """What tests need of a running fleet."""

    def __init__(self, broker: EmbeddedBroker, worker: WorkerProcess, state: Path) -> None:
        self.broker = broker
        self.worker = worker
        self.state = state
        self.url = broker.url
        self.producer = Producer(broker.url)

    @property
    def log(self) -> str:
        return (self.state / "worker.log").read_text()


@pytest.fixture(scope="session")
def fleet():
    state = Path(tempfile.mkdtemp(prefix="pf-fleet-"))
    with EmbeddedBroker(state) as broker:
        worker = WorkerProcess(
            Producer(broker.url).ledger.redis,
            children=2,
            environment={
                "PIXFLEET_BROKER": broker.url,
                "PIXFLEET_STATE": str(state),
                "PIXFLEET_WORKER_LEASE_S": "5",
            },
            log=state / "worker.log",
        )
        with worker:
            worker.wait_ready()
            yield Fleet(broker, worker, state)
    shutil.rmtree(state, ignore_errors=True)
