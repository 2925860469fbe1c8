"""A worker whose broker goes, comes back, cuts its connections or says everything thrice."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from PIL import Image

from pixfleet.config import keys
from pixfleet.config.prices import to_nano
from pixfleet.config.queues import QUEUES
from pixfleet.producer import ImageJob, Producer, Recipe, VariantSpec
from pixfleet.producer.connection import connect
from pixfleet.workers.fleet.process import WorkerProcess
from pixfleet.workers.spend.book import SpendBook
from tests.brokers import LoopbackBroker

WAITING = Path(__file__).with_name("waiting")


def eventually(question, timeout_s: float = 40):
    """The first true answer."""
    deadline = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
    return answer


class Fleet:
    """A broker that can be ended and a worker of two children, whose AVIF encoder can be held."""

    def __init__(self, state: Path, broker: LoopbackBroker, **settings: str) -> None:
        self.state = state
        self.broker = broker
        self.producer = Producer(broker.url)
        self.redis = connect(broker.url)
        self.worker = WorkerProcess(
            self.redis,
            children=2,
            environment={
                "PYTHONPATH": str(WAITING),
                "PIXFLEET_BROKER": broker.url,
                "PIXFLEET_STATE": str(state),
                "PIXFLEET_WORKER_LEASE_S": "20",
                **settings,
            },
            log=state / "worker.log",
        )

    def hold(self) -> None:
        (self.state / "hold").touch()

    def go_on(self) -> None:
        (self.state / "hold").unlink()

    def submit(self, *, widths: tuple[int, ...] = (64,), px: int = 100, **options):
        """One picture of its own, ``px`` wide."""
        source = self.state / f"{uuid.uuid4().hex}.png"
        colour = tuple(uuid.uuid4().bytes[:3])
        with Image.new("RGB", (px, px * 2 // 3), colour) as picture:
            picture.save(source, compress_level=1)
        recipe = Recipe(
            name="held",
            quality=50,
            variants=tuple(
                VariantSpec(name=f"w{width}", width=width, formats=("avif",)) for width in widths
            ),
            features=(),
        )
        return self.producer.submit(
            ImageJob(source=str(source), output=str(self.state / "out"), recipe=recipe, **options)
        )

    def encodes_no_more(self) -> bool:
        """Nothing was encoded for a while: what is begun waits for something else."""
        encoded = self.state / "encoded"
        return encoded.exists() and time.time() - encoded.stat().st_mtime > 1.5

    def unsettled(self) -> int:
        """Messages on queues or in work."""
        return sum(self.redis.llen(queue) for queue in QUEUES) + self.redis.hlen("unacked")

    @property
    def log(self) -> str:
        return (self.state / "worker.log").read_text()


@pytest.fixture(scope="module")
def fleet():
    state = Path(tempfile.mkdtemp(prefix="pf-faults-"))
    with LoopbackBroker(state / "broker") as broker:
        running = Fleet(state, broker)
        with running.worker:
            running.worker.wait_ready()
            yield running
    shutil.rmtree(state, ignore_errors=True)


def idle(_fleet):
    return []


def one_child_busy(fleet):
    handle = fleet.submit()
    eventually(lambda: handle.status().state == "running")
    return [handle]


def all_busy(fleet):
    handles = [fleet.submit() for _ in range(3)]
    eventually(lambda: [h.status().state for h in handles].count("running") == 2)
    return handles


def chord_in_flight(fleet):
    handle = fleet.submit(widths=(1400, 1350, 1300), px=1500, queue="interactive")
    waiting = lambda: (fleet.redis.hlen("unacked"), fleet.redis.llen("interactive"))  # noqa: E731
    eventually(lambda: waiting() == (2, 1))  # two of three members are being encoded
    return [handle]


@pytest.mark.parametrize("begin", [idle, one_child_busy, all_busy, chord_in_flight])
def test_a_worker_survives_a_broker_restart_and_finishes_what_it_had_begun(fleet, begin):
    fleet.hold()
    handles = begin(fleet)

    fleet.broker.restart()
    fleet.go_on()
    manifests = [handle.result(60) for handle in handles]

    assert [(m.status, m.attempts) for m in manifests] == [("done", 1)] * len(handles)
    assert fleet.submit().result(30).status == "done"
    assert fleet.worker.exit_code is None
    eventually(lambda: fleet.unsettled() == 0)
    for noise in ("Traceback", "CRITICAL", "cancel_long_running"):
        assert noise not in fleet.log


@pytest.mark.parametrize("begin", [one_child_busy, all_busy, chord_in_flight])
def test_work_that_ends_while_redis_is_away_is_neither_lost_nor_failed(fleet, begin):
    fleet.hold()
    handles = begin(fleet)

    fleet.broker.kill()
    fleet.go_on()
    eventually(fleet.encodes_no_more)
    fleet.broker.start()
    manifests = [handle.result(60) for handle in handles]

    assert [(m.status, m.attempts) for m in manifests] == [("done", 1)] * len(handles)
    assert fleet.worker.exit_code is None
    eventually(lambda: fleet.unsettled() == 0)
    assert "Traceback" not in fleet.log


def test_a_cut_connection_neither_repeats_work_nor_leaves_messages(fleet):
    fleet.hold()
    handle = fleet.submit()
    eventually(lambda: handle.status().state == "running")

    cut = fleet.redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    fleet.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    time.sleep(0.5)
    fleet.go_on()

    assert cut >= 3
    assert (handle.result(30).status, handle.status().attempts) == ("done", 1)
    eventually(lambda: fleet.unsettled() == 0)
    assert fleet.worker.exit_code is None


def test_a_message_delivered_thrice_at_once_is_one_claim_and_one_charge(fleet):
    fleet.hold()
    before = fleet.redis.hgetall(keys.TOTALS)
    blocker = [fleet.submit(), fleet.submit()]
    eventually(lambda: [h.status().state for h in blocker].count("running") == 2)
    handle = fleet.submit(tenant="thrice")
    (message,) = fleet.redis.lrange("bulk", 0, 0)
    fleet.redis.lpush("bulk", message, message)

    fleet.go_on()
    manifest = handle.result(30)
    eventually(lambda: fleet.unsettled() == 0)

    assert (manifest.status, handle.status().attempts) == ("done", 1)
    for each in blocker:
        each.result(30)
    images = int(fleet.redis.hget(keys.TOTALS, "images")) - int(before.get(b"images", 0))
    assert images == 3
    spent = [
        e
        for e in SpendBook(fleet.producer.ledger).entries()
        if (e.tenant, e.recipe) == ("thrice", "held")
    ]
    money = sum(e.amount for e in spent if not e.line.startswith("#"))
    assert money == to_nano(manifest.receipt.cost_usd)


@pytest.fixture
def lone(state):
    """A broker that is not running, and the worker that would use it."""
    broker = LoopbackBroker(state / "broker")
    yield Fleet(*(state, broker), PIXFLEET_WORKER_LEASE_S="2", PIXFLEET_WORKER_SOFT_SHUTDOWN_S="1")
    broker.kill()


def test_a_worker_that_starts_before_its_broker_waits_for_it(lone):
    with lone.worker:
        eventually(lambda: "Connection refused" in lone.log)
        lone.broker.start()
        lone.worker.wait_ready()
        assert lone.submit().result(30).status == "done"


def test_a_worker_told_to_go_while_its_broker_is_away_goes_and_the_next_does_its_job(lone):
    lone.broker.start()
    lone.hold()
    with lone.worker:
        lone.worker.wait_ready()
        handle = lone.submit()
        eventually(lambda: handle.status().state == "running")
        lone.broker.kill()
        eventually(lambda: "Connection refused" in lone.log)

        os.kill(lone.worker.pid, signal.SIGTERM)
        eventually(lambda: lone.worker.exit_code is not None)

        assert lone.worker.exit_code == 0, lone.log
    lone.broker.start()
    lone.go_on()
    with lone.worker:
        assert (handle.result(60).status, handle.status().attempts) == ("done", 2)
