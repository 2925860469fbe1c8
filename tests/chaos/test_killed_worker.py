"""Workers that die while their broker stays: their jobs run again elsewhere, and end once."""

from __future__ import annotations

import signal

import psutil
import pytest

from pixfleet.config import keys
from tests.chaos.conftest import until
from tests.chaos.worker import own_host_names

_LEASE_S = 2


@pytest.mark.skipif(not own_host_names(), reason="host names of their own need root on Linux")
def test_a_job_whose_machine_is_gone_runs_on_another_within_lease_and_ten_seconds(ground):
    first = ground.worker("gone")
    handle = ground.held()
    second = ground.worker("there")

    first.signal_all(signal.SIGKILL)

    took_s = until(lambda: second.owns(handle.status().worker), "the job runs on the other")
    assert took_s < _LEASE_S + 10
    ground.open()
    assert handle.result(30).status == "done"
    assert handle.status().attempts == 2
    assert int(ground.valkey.client.hget(keys.TOTALS, "done") or 0) == 1


def test_children_of_a_killed_worker_do_not_outlive_their_job(ground):
    worker = ground.worker("headless")
    handle = ground.held()
    children = worker.children

    worker.signal(signal.SIGKILL)
    worker.process.wait()
    ground.open()

    until(
        lambda: not any(psutil.pid_exists(child) for child in children), "the children are gone", 15
    )
    ground.worker("successor")
    assert handle.result(30).status == "done"
    assert int(ground.valkey.client.hget(keys.TOTALS, "done") or 0) == 1
