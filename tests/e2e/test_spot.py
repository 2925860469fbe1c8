"""Workers that have to go: a notice of the machine's end, SIGTERM, `pixfleet drain`."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pixfleet.config import keys
from pixfleet.producer import VariantSpec
from pixfleet.workers.monitor.collect import FleetReader
from pixfleet.workers.monitor.metrics import FleetMetrics
from pixfleet.workers.monitor.snapshot import Snapshot
from tests.e2e.spot_fleet import SpotFleet

GONE_S = 15


@pytest.fixture(scope="module")
def _broker():
    state = Path(tempfile.mkdtemp(prefix="pf-spot-"))
    with SpotFleet(state) as fleet:
        yield fleet
    shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def fleet(_broker):
    _broker.redis.flushall()
    # A slow start leaves the sweeper time to order a tidying: a message among those counted here.
    _broker.redis.set(keys.TIDIED, "not due")
    _broker.metadata.documents.clear()
    _broker.metadata.fault = ""
    (_broker.state / "worker.log").unlink(missing_ok=True)
    yield _broker
    _broker.stop_workers()


def attempts(fleet, job_id: str) -> list[dict]:
    """The job's history in the ledger."""
    lines = fleet.redis.hget(keys.JOB + job_id, "history") or b""
    return [json.loads(line) for line in lines.splitlines()]


def at(line: dict) -> dt.datetime:
    """When a line of the log was written."""
    return dt.datetime.fromisoformat(line["timestamp"])


def test_a_worker_told_of_its_machines_end_finishes_what_fits_and_goes(fleet):
    worker = fleet.worker(on_spot=True)
    jobs = fleet.submit(8, seconds=1.5)
    fleet.wait_running(2)

    fleet.metadata.interrupt(within_s=120)

    assert fleet.wait_gone(worker) < GONE_S
    assert worker.exit_code == 0
    assert fleet.states(jobs) == {"done": 2, "queued": 6}
    assert (fleet.queued, fleet.unacked) == (6, 0)
    assert [job.status().attempts for job in jobs].count(0) == 6
    assert fleet.totals["interruptions"] == 1
    assert "rework_ms" not in fleet.totals


def test_messages_that_a_worker_holds_for_its_children_go_back_when_it_is_told_to_go(fleet):
    worker = fleet.worker(on_spot=True, PIXFLEET_WORKER_PREFETCH="3")
    jobs = fleet.submit(8, seconds=1.5)
    fleet.wait_running(2)

    fleet.metadata.interrupt(within_s=120)

    assert fleet.wait_gone(worker) < GONE_S
    assert fleet.states(jobs) == {"done": 2, "queued": 6}
    assert fleet.queued >= 6  # one may come twice: whoever finds its job ended forgets it
    assert fleet.unacked == 0
    fleet.worker()
    assert [job.result(timeout_s=30).status for job in jobs] == ["done"] * 8
    assert [len(attempts(fleet, job.id)) for job in jobs] == [1] * 8


def test_a_job_on_its_way_to_a_child_when_the_worker_is_told_to_go_is_given_back(fleet):
    worker = fleet.worker(PIXFLEET_WORKER_SOFT_SHUTDOWN_S="4")
    children = [
        one for one in psutil.Process(worker.pid).children() if "lean" in " ".join(one.cmdline())
    ]
    assert len(children) == 2
    (short,) = fleet.submit(1, seconds=3)
    fleet.wait_running(1)
    owner = fleet.redis.hget(keys.JOB + short.id, "owner").decode()
    idle = next(one for one in children if str(one.pid) not in owner)
    idle.suspend()
    (long,) = fleet.submit(1, seconds=90, recipe="long")
    fleet.eventually(lambda: fleet.unacked == 2)
    time.sleep(0.3)  # it lies in the pipe to the child, which has not said that it has it

    os.kill(worker.pid, signal.SIGTERM)
    fleet.eventually(lambda: fleet.logged("worker.takes_no_more"))
    idle.resume()

    assert fleet.wait_gone(worker) < GONE_S
    assert worker.exit_code == 0
    assert not fleet.logged("worker.goes_down_hard")
    assert (short.status().state, long.status().state) == ("done", "queued")
    assert long.status().attempts == 0
    assert fleet.queued >= 1
    assert fleet.unacked == 0


def test_what_does_not_fit_runs_elsewhere_and_its_attempt_does_not_count(fleet):
    doomed = fleet.worker(on_spot=True)
    fleet.teach(seconds=1.8)
    jobs = fleet.submit(8, seconds=1.8)
    fleet.wait_running(2)

    fleet.metadata.interrupt(within_s=5)

    assert fleet.wait_gone(doomed) < 5
    assert doomed.exit_code == 0
    assert fleet.states(jobs) == {"queued": 8}
    assert (fleet.queued, fleet.unacked) == (8, 0)
    assert not fleet.redis.zcard(keys.RUNNING)
    fleet.worker(children=4)
    manifests = [job.result(60) for job in jobs]
    assert {(manifest.status, manifest.attempts) for manifest in manifests} == {("done", 1)}
    histories = [attempts(fleet, job.id) for job in jobs]
    given_back = [line for lines in histories for line in lines if line["how"] == "given_back"]
    assert [line["why"] for line in given_back] == ["spot terminate"] * 2
    assert all(0 < line["ended"] - line["began"] < 3 for line in given_back)
    totals = fleet.totals
    assert totals["given_back"] == 2
    assert 0 < totals["rework_ms"] < 6_000
    assert totals["rework_nano_usd"] > 0
    metrics = FleetMetrics()
    metrics.show(Snapshot(FleetReader(fleet.redis).read(), {}, (), 0))
    registry = CollectorRegistry()
    registry.register(metrics)
    shown = generate_latest(registry).decode()
    assert "pixfleet_interruptions_total 1.0" in shown
    assert f"pixfleet_rework_seconds_total {totals['rework_ms'] / 1e3}" in shown
    assert "pixfleet_rework_usd_total" in shown


def test_a_drained_worker_gives_back_at_once_what_will_not_end_and_finishes_the_rest(
    fleet, pixfleet
):
    worker = fleet.worker()
    fleet.teach(seconds=3, recipe="long")
    (long,) = fleet.submit(1, seconds=3, recipe="long")
    (short,) = fleet.submit(1, seconds=1.2, recipe="short")
    fleet.wait_running(2)
    broker = ("--broker", fleet.broker.url)

    told = pixfleet("drain", worker.name, "--within", "1.5", "--wait", "--json", *broker)

    answer = json.loads(told.stdout)
    assert told.returncode == 0, told.stderr
    assert (answer["told"], answer["gone"]) == ([worker.name], [worker.name])
    fleet.wait_gone(worker, timeout_s=5)
    assert worker.exit_code == 0
    assert short.status().state == "done"
    assert (long.status().state, long.status().attempts) == ("queued", 0)
    (line,) = fleet.logged("worker.gives_back")
    assert (line["job_id"], line["why"]) == (long.id, "drain")
    (told,) = fleet.logged("worker.told_to_go")
    assert at(line) - at(told) < dt.timedelta(seconds=1), "it knew that the job would not fit"
    assert not fleet.redis.exists(keys.DRAIN + worker.name), "its successor would go at once"


def test_workers_are_listed_with_what_they_do_and_drained_by_name(fleet, pixfleet):
    worker = fleet.worker(on_spot=True)
    fleet.submit(3, seconds=2)
    fleet.eventually(lambda: fleet.listed(worker.name).active == 2)
    assert fleet.unacked == 2
    fleet.redis.zadd(keys.WORKERS, {"killed@elsewhere": time.time() - 100})
    broker = ("--broker", fleet.broker.url)

    fleet.metadata.recommend_rebalance()
    fleet.eventually(lambda: fleet.totals.get("rebalances") == 1)
    fleet.eventually(lambda: fleet.listed(worker.name).state == "at risk")
    listed = {one["name"]: one for one in json.loads(pixfleet("workers", "--json", *broker).stdout)}
    wrong = pixfleet("drain", "worker@nowhere", *broker)
    nothing = pixfleet("drain", *broker)

    assert listed["killed@elsewhere"]["state"] == "gone"
    assert listed[worker.name]["state"] == "at risk"
    assert listed[worker.name]["silent_s"] < 10
    assert wrong.returncode == nothing.returncode == 2
    assert "worker@nowhere" in wrong.stderr
    assert worker.name in wrong.stderr.replace("\n", "")
    assert "--all" in nothing.stderr
    # A recommendation is no notice.
    assert worker.exit_code is None
    fleet.eventually(lambda: fleet.totals.get("done") == 3)
    assert pixfleet("drain", "--all", *broker).returncode == 0
    assert fleet.wait_gone(worker) < GONE_S


def test_after_sigterm_a_task_of_unknown_length_has_the_soft_shutdown_and_no_more(fleet):
    worker = fleet.worker(PIXFLEET_WORKER_SOFT_SHUTDOWN_S="1")
    (job,) = fleet.submit(1, seconds=30)
    fleet.wait_running(1)

    os.kill(worker.pid, signal.SIGTERM)

    assert 1 <= fleet.wait_gone(worker) < 1 + 4
    assert worker.exit_code == 0
    assert (job.status().state, job.status().attempts) == ("queued", 0)
    assert (fleet.queued, fleet.unacked) == (1, 0)
    assert not fleet.redis.zcard(keys.WORKERS)


def test_parts_of_a_job_are_given_back_without_beginning_the_job_again(fleet):
    worker = fleet.worker(PIXFLEET_WORKER_SOFT_SHUTDOWN_S="0")
    variants = tuple(
        VariantSpec(name=name, width=97, height=px, fit="fill", enlarge=True, formats=("avif",))
        for name, px in (("one", 14_000), ("two", 13_000))
    )
    (job,) = fleet.submit(1, seconds=0.1, variants=variants, execution="fanout")
    fleet.eventually(lambda: fleet.redis.zcard(keys.PARTS) == 2)

    os.kill(worker.pid, signal.SIGTERM)

    assert fleet.wait_gone(worker) < GONE_S
    assert fleet.totals["given_back"] == 2
    assert fleet.totals["rework_ms"] > 0
    assert job.status().state == "running"
    assert not fleet.redis.zcard(keys.PARTS), "its lease would end the whole job"
    open_trials = [field for field in fleet.redis.hkeys(keys.TRIALS + job.id) if b"open" in field]
    assert not open_trials, "an encoder would be blamed"
    fleet.worker(PYTHONPATH="")  # with encoders as they are
    assert (job.result(60).status, job.result(60).attempts) == ("done", 1)


def test_a_metadata_service_gone_mad_does_no_harm_and_is_heard_when_it_recovers(fleet):
    fleet.metadata.fault = "hang"
    worker = fleet.worker(on_spot=True, children=1)
    (job,) = fleet.submit(1, seconds=0.1)

    assert job.result(30).status == "done"
    fleet.eventually(lambda: fleet.logged("spot.blind"))
    assert worker.exit_code is None
    fleet.metadata.fault = ""
    fleet.metadata.tokens.clear()  # expired
    fleet.metadata.interrupt(within_s=120, action="hibernate")
    assert fleet.wait_gone(worker) < GONE_S
    assert worker.exit_code == 0


def test_a_worker_whose_broker_is_frozen_goes_down_hard_at_the_deadline(fleet):
    worker = fleet.worker(on_spot=True)
    fleet.submit(2, seconds=60)
    fleet.wait_running(2)
    children = psutil.Process(worker.pid).children()
    server = psutil.Process(fleet.redis.info("server")["process_id"])

    server.suspend()
    try:
        fleet.metadata.interrupt(within_s=3)
        took_s = fleet.wait_gone(worker)
    finally:
        server.resume()

    assert took_s < 3 + 4
    assert worker.exit_code == 1
    assert fleet.logged("worker.goes_down_hard")
    gone, alive = psutil.wait_procs(children, timeout=5)
    assert (len(gone), alive) == (2, [])


def test_a_worker_that_starts_under_a_notice_takes_no_work_and_goes(fleet):
    fleet.metadata.interrupt(within_s=60)
    worker = fleet.worker(on_spot=True, wait=False)
    assert fleet.wait_gone(worker) < GONE_S
    assert worker.exit_code == 0
    assert fleet.totals["interruptions"] == 1
