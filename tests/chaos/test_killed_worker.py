"""A worker whose main process is killed while its broker stays."""

from __future__ import annotations

import signal

import psutil

from pixfleet.config import keys
from tests.chaos.conftest import until


def test_children_of_a_killed_worker_do_not_outlive_it_and_their_jobs_end_once(ground):
    worker = ground.worker("headless")
    handle = ground.held()
    children = worker.children

    worker.signal(signal.SIGKILL)
    worker.process.wait()

    until(
        lambda: not any(psutil.pid_exists(child) for child in children), "the children are gone", 15
    )
    ground.worker("successor")
    ground.open()
    assert handle.result(30).status == "done"
    assert handle.status().attempts == 2
    assert int(ground.valkey.client.hget(keys.TOTALS, "done")) == 1
