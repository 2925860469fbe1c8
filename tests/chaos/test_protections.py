"""What each protection is for: without it, its test here fails (``make protections`` shows it).

Several protections often cover one fault; where that is so the others are taken away, so that the
test is about one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from celery import Celery

from pixfleet.config import keys
from pixfleet.config.contract import TASK_PREPARE
from pixfleet.producer import Producer
from tests.chaos.conftest import until
from tests.chaos.pictures import deadly
from tests.chaos.protections import TESTS
from tests.chaos.worker import BOOTSTRAP, own_host_names

_LEASE_S = 2
_AT_ONCE_S = 15
"""On a busy machine; what comes back by a lease of a minute does not come back so soon."""
LONG_LEASE = {"PIXFLEET_WORKER_LEASE_S": 60}
SHORT_VISIBILITY = {
    "PIXFLEET_VISIBILITY_TIMEOUT_S": 4,
    "PIXFLEET_WORKER_HARD_TIME_LIMIT_S": 3,
    "PIXFLEET_WORKER_SOFT_TIME_LIMIT_S": 2,
}
machines = pytest.mark.skipif(
    not own_host_names(), reason="host names of their own need root on Linux"
)


def without(*names: str) -> dict[str, str]:
    """Take protections away, besides those that the run takes away."""
    lost = filter(None, [os.environ.get("PIXFLEET_TEST_WITHOUT"), *names])
    return {"PIXFLEET_TEST_WITHOUT": ",".join(lost)}


def test_every_protection_can_still_be_taken_away():
    environment = {
        **os.environ,
        "PYTHONPATH": str(BOOTSTRAP),
        "PIXFLEET_TEST_WITHOUT": ",".join(TESTS),
        "PIXFLEET_TEST_GATE": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", ""], env=environment, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


@machines
def test_without_a_sweeper_the_broker_brings_a_dead_machines_message_back(ground):
    first = ground.worker("gone", **without("sweeper"), **SHORT_VISIBILITY)
    handle = ground.held()

    first.signal_all(signal.SIGKILL)
    second = ground.worker("there", **without("sweeper"), **SHORT_VISIBILITY)
    ground.open()

    until(lambda: handle.status().state == "done", "the job ends", 30)
    assert second.owns(handle.status().worker)


def test_without_a_sweeper_a_killed_childs_message_comes_back_at_once(ground):
    worker = ground.worker("one", **without("sweeper", "notice of a child's death"))
    handle = ground.held()
    (child,) = worker.children

    os.kill(child, signal.SIGKILL)
    ground.open()

    until(lambda: handle.status().state == "done", "the job ends", _AT_ONCE_S)
    assert handle.status().attempts == 2


@machines
def test_a_killed_childs_job_runs_on_another_machine_without_waiting_for_its_lease(ground):
    first = ground.worker("first", **without(), **LONG_LEASE)
    handle = ground.held()
    second = ground.worker("second", **without(), **LONG_LEASE)
    _consume_no_more(ground, first)
    (child,) = first.children

    os.kill(child, signal.SIGKILL)

    until(lambda: second.owns(handle.status().worker), "the other has it", _AT_ONCE_S)


@machines
def test_a_job_whose_machine_is_gone_runs_on_another_within_lease_and_ten_seconds(ground):
    first = ground.worker("gone", **without())
    handle = ground.held()
    second = ground.worker("there", **without())

    first.signal_all(signal.SIGKILL)

    took_s = until(lambda: second.owns(handle.status().worker), "the job runs on the other", 30)
    assert took_s < _LEASE_S + 10
    ground.open()
    assert handle.result(30).status == "done"
    assert handle.status().attempts == 2
    assert _total(ground, "done") == 1


@machines
def test_a_job_that_takes_longer_than_its_lease_stays_with_its_worker(ground):
    first = ground.worker("first", **without())
    handle = ground.held()
    ground.worker("second", **without())

    time.sleep(2.5 * _LEASE_S)  # nothing may happen, so there is nothing to wait for

    assert handle.status().attempts == 1
    assert first.owns(handle.status().worker)


@machines
def test_a_worker_frozen_past_its_lease_can_not_end_the_job_of_its_successor(ground):
    first = ground.worker("frozen", **without())
    handle = ground.held()
    gate = ground.folder / "other-gate"
    gate.touch()
    first.signal_all(signal.SIGSTOP)
    # A busy machine must not take the job from the successor, too.
    long = {"PIXFLEET_WORKER_LEASE_S": 8}
    second = ground.worker("successor", PIXFLEET_TEST_GATE=gate, **without(), **long)
    until(lambda: second.owns(handle.status().worker), "the successor has it", 30)

    ground.open()
    first.signal_all(signal.SIGCONT)
    until(lambda: '"event": "job.ended"' in first.log.read_text(), "the first is ready too", 30)

    assert handle.status().state == "running"
    gate.unlink()
    manifest = handle.result(30)
    assert second.owns(manifest.worker)
    assert _total(ground, "done") == 1


def test_a_picture_that_kills_its_process_is_put_into_quarantine(ground):
    ground.worker("victim", **without(), PIXFLEET_WORKER_MAX_ATTEMPTS=1)
    job = ground.job("deadly.tif", deadly())
    handle = ground.producer.submit(job)

    until(
        lambda: handle.status().state == "quarantined" or handle.status().attempts > 1,
        "it is given up",
        40,
    )

    assert handle.status().attempts == 1
    assert [failure.code for failure in handle.result(1).failures] == ["worker_lost"]


def test_a_worker_with_one_child_busy_and_one_free_outlives_a_restart_of_its_broker(ground):
    worker = ground.worker("one", children=2, **without())
    handle = ground.held()

    ground.valkey.stop()
    time.sleep(1)  # as long as a restart takes
    ground.valkey.start()
    ground.open()

    manifest = handle.result(40)
    further = ground.producer.submit(ground.job("further.tif")).result(40)
    assert (manifest.status, further.status) == ("done", "done")
    assert worker.alive


def test_a_message_that_comes_again_after_its_job_ended_changes_nothing(ground):
    ground.worker("one", **without())
    job = ground.job()
    handle = ground.producer.submit(job)
    handle.result(30)

    _deliver(ground, handle.id, job)
    _quiet(ground)

    assert handle.status().attempts == 1
    assert _total(ground, "done") == 1


@machines
def test_a_message_that_comes_again_while_its_job_runs_elsewhere_is_dropped(ground):
    ground.worker("first", **without())
    handle = ground.held()
    ground.worker("second", **without())

    _deliver(ground, handle.id, ground.job())
    until(lambda: ground.valkey.client.llen("bulk") == 0, "somebody has the message")
    until(lambda: ground.valkey.client.hlen("unacked") == 1, "and is done with it", 15)

    assert handle.status().attempts == 1


def test_a_job_submitted_twice_by_one_key_is_charged_once(ground):
    ground.worker("one", **without())
    again = Producer(ground.valkey.url)
    job = ground.job(idempotency_key="k")

    handles = [producer.submit(job) for producer in (ground.producer, again)]

    manifests = [handle.result(30) for handle in handles]
    _quiet(ground)
    assert manifests[0] == manifests[1]
    assert [handle.accepted for handle in handles] == [True, False]
    assert _total(ground, "images") == 1


def _deliver(ground, job_id: str, job) -> None:
    message = job.model_dump(mode="json", exclude_defaults=True) | {"schema_version": 1}
    with Celery(broker=ground.valkey.url) as app:
        app.send_task(
            TASK_PREPARE, args=[message], task_id=job_id, queue="bulk", ignore_result=True
        )


def _consume_no_more(ground, worker) -> None:
    with Celery(broker=ground.valkey.url, result_backend=ground.valkey.url) as app:
        for queue in ("interactive", "encode", "bulk"):
            replies = app.control.cancel_consumer(
                queue, destination=[worker.name], reply=True, timeout=10
            )
            assert replies, f"{worker.name} does not answer"


def _quiet(ground) -> None:
    client = ground.valkey.client
    until(lambda: not client.llen("bulk") and not client.hlen("unacked"), "nothing is under way")


def _total(ground, name: str) -> int:
    return int(ground.valkey.client.hget(keys.TOTALS, name) or 0)
