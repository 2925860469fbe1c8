"""``pixfleet health``: probes of a worker, and the fleet at a glance."""

from __future__ import annotations

import json
import os
import signal
import time

import psutil
import pytest

from pixfleet.config import keys
from pixfleet.config.settings import Settings
from pixfleet.config.state import pulse_dir
from pixfleet.producer.connection import connect
from pixfleet.workers.fleet.process import WorkerProcess
from pixfleet.workers.fleet.pulse import read_pulses
from pixfleet.workers.monitor.health import fleet_health
from tests.brokers import LoopbackBroker

from .test_up import eventually


@pytest.fixture
def broker(state):
    with LoopbackBroker(state / "broker") as running:
        yield running


@pytest.fixture
def worker(broker, state):
    running = WorkerProcess(
        connect(broker.url),
        children=1,
        environment={"PIXFLEET_BROKER": broker.url, "PIXFLEET_STATE": str(state)},
        log=state / "worker.log",
    )
    with running:
        running.wait_ready()
        yield running


def connected(state) -> bool:
    return any(pulse.state == "connected" for pulse in read_pulses(pulse_dir(state)))


@pytest.fixture
def health(pixfleet):
    """``pixfleet health --json``: (exit code, answer)."""

    def ask(*arguments, **environment):
        done = pixfleet("health", "--json", *arguments, **environment)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return ask


def test_a_worker_is_well_while_it_works_and_while_its_broker_is_away_and_not_when_it_is_gone(
    broker, worker, health, state
):
    eventually(lambda: connected(state))
    code, answer = health("--worker", worker.name)
    (row,) = answer["workers"]
    assert (code, row["state"], row["children"], row["tasks"]) == (0, "connected", 1, [])

    broker.kill()
    eventually(lambda: read_pulses(pulse_dir(state))[0].state == "reconnecting")
    assert health("--worker")[0] == 0
    broker.start()
    eventually(lambda: connected(state))

    os.kill(worker.pid, signal.SIGKILL)
    eventually(lambda: worker.exit_code is not None)
    code, answer = health("--worker")
    assert (code, answer["workers"][0]["ailment"]) == (1, "its process is gone")


def test_a_frozen_worker_gives_no_sign_of_life(worker, state):
    eventually(lambda: connected(state))
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        (before,) = read_pulses(pulse_dir(state))
        time.sleep(3)
        (after,) = read_pulses(pulse_dir(state))
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert after == before
    assert "frozen" in after.ailment(after.written_s + 21)
    eventually(lambda: read_pulses(pulse_dir(state))[0].ticked_s > before.ticked_s)


@pytest.mark.usefixtures("worker")
def test_a_probe_needs_neither_celery_nor_opencv_nor_much_time(state, pixfleet):
    eventually(lambda: connected(state))
    before_s = psutil.Process().cpu_times()
    done = pixfleet("health", "--worker", PYTHONPROFILEIMPORTTIME="1")
    after_s = psutil.Process().cpu_times()

    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "well (connected" in done.stdout
    assert not imported & {"celery", "kombu", "cv2", "numpy", "boto3"}
    spent_s = after_s.children_user - before_s.children_user
    assert spent_s < 1


def test_without_a_worker_and_without_a_broker_the_answer_is_no(health, pixfleet, state):
    none = pixfleet("health", "--worker")
    assert none.returncode == 1
    assert str(state) in none.stderr
    code, answer = health("--broker", "redis://:hunter2@127.0.0.1:1/0")
    assert (code, answer["healthy"]) == (1, False)
    assert "127.0.0.1:1" in answer["ailments"][0]
    assert "hunter2" not in json.dumps(answer)
    assert pixfleet("health", "celery@x").returncode == 2


def test_the_fleet_is_well_with_a_worker_and_not_with_jobs_that_nobody_sweeps(broker, health):
    client = connect(broker.url)
    settings = Settings.load().with_broker(broker.url)
    assert "no worker is alive" in fleet_health(settings).ailments[0]

    client.zadd(keys.WORKERS, {"celery@a": time.time()})
    code, answer = health("--broker", broker.url)
    well = {"healthy": True, "workers": 1, "running": 0, "waiting": 0, "held": 0, "overdue": 0}
    assert (code, answer) == (0, {**well, "ailments": []})

    client.zadd(keys.RUNNING, {"lost": time.time() - 60})
    found = fleet_health(settings)
    assert (found.overdue, len(found.ailments)) == (1, 1)
    client.delete(keys.RUNNING)
    client.hset(keys.BACKLOG, "bulk", 7)
    full = health("--broker", broker.url, PIXFLEET_QUEUE_MAX_BACKLOG="5")
    assert (full[0], full[1]["waiting"]) == (1, 7)
    assert "PIXFLEET_QUEUE_MAX_BACKLOG" in full[1]["ailments"][0]
