"""Workers that are killed or frozen while their broker stays, and what they leave behind."""

from __future__ import annotations

import json
import signal

import psutil
import pytest

from pixfleet.config import keys
from pixfleet.producer import Recipe, VariantSpec
from tests.chaos.conftest import until
from tests.chaos.worker import own_host_names

_WIDE = Recipe(
    name="wide",
    execution="fanout",
    variants=tuple(
        VariantSpec(name=f"w{width}", width=width, height=1_100, fit="pad", formats=("jpeg",))
        for width in (1_500, 1_490)
    ),
)
machines = pytest.mark.skipif(
    not own_host_names(), reason="host names of their own need root on Linux"
)


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


@machines
def test_the_manifest_of_a_worker_that_was_frozen_gives_way_to_the_one_that_counts(ground):
    frozen = ground.worker("frozen")
    handle = ground.held()
    frozen.signal_all(signal.SIGSTOP)
    ground.open()
    ground.worker("successor")
    manifest = handle.result(30)

    frozen.signal_all(signal.SIGCONT)
    until(lambda: '"event": "job.ended"' in frozen.log.read_text(), "the frozen one is ready", 30)

    on_disk = json.loads((ground.folder / "out" / "held.tif" / "manifest.json").read_text())
    assert on_disk == manifest.model_dump(mode="json")


@machines
def test_pixels_that_a_frozen_worker_parked_too_late_are_removed(ground):
    no_memo = {"PIXFLEET_MEMO_ENABLED": "false"}  # it would spare the frozen one all parking
    frozen = ground.worker("frozen", **no_memo)
    handle = ground.held(recipe=_WIDE)
    frozen.signal_all(signal.SIGSTOP)
    ground.open()
    ground.worker("successor", **no_memo)
    assert handle.result(30).plan.members == 2

    frozen.signal_all(signal.SIGCONT)
    until(lambda: not ground.valkey.client.hlen("unacked"), "the frozen one is done with it", 30)

    work = ground.folder / "state" / "store" / "work"
    assert not [path for path in work.rglob("*") if path.is_file()]
