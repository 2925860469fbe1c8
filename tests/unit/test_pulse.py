from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from pixfleet.workers.fleet.owner import owner_name
from pixfleet.workers.fleet.pulse import Pulse, Task, read_pulses, sweep_pulses, write_pulse

NOW_S = 10_000.0
WELL = Pulse(
    worker="celery@here",
    owner=owner_name(),
    state="connected",
    since_s=NOW_S - 900,
    ticked_s=NOW_S - 1,
    written_s=NOW_S - 2,
    hard_time_limit_s=300,
    children=2,
    tasks=(Task("id", "pixfleet.v1.prepare", NOW_S - 290),),
)


def but(**changes) -> Pulse:
    return dataclasses.replace(WELL, **changes)


def gone() -> str:
    """The owner's name of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return owner_name(process.pid)


LONG = Task("id-7", "pixfleet.v1.encode", NOW_S - 400)


@pytest.mark.parametrize(
    "pulse",
    [
        pytest.param(WELL, id="connected"),
        pytest.param(but(state="reconnecting", ticked_s=NOW_S - 3_600), id="its-broker-is-away"),
        pytest.param(but(state="starting", ticked_s=NOW_S - 600), id="waits-for-its-first-broker"),
        pytest.param(but(state="ending", ticked_s=NOW_S - 60), id="told-to-go"),
        pytest.param(but(tasks=(LONG,), since_s=NOW_S - 5), id="nobody-could-keep-the-limit"),
    ],
)
def test_a_worker_that_works_or_waits_is_well(pulse):
    assert not pulse.ailment(NOW_S)


@pytest.mark.parametrize(
    ("pulse", "said"),
    [
        pytest.param(but(ticked_s=NOW_S - 31), "event loop has stood still for 31 s", id="stuck"),
        pytest.param(but(written_s=NOW_S - 21), "frozen", id="frozen"),
        pytest.param(but(written_s=NOW_S + 5), "frozen", id="of-an-earlier-boot"),
        pytest.param(but(state="reconnecting", written_s=NOW_S - 21), "frozen", id="frozen-away"),
        pytest.param(but(tasks=(LONG,)), "encode[id-7] has run for 400 s", id="past-hard-limit"),
    ],
)
def test_a_worker_that_gets_nowhere_is_not_well(pulse, said):
    assert said in pulse.ailment(NOW_S)


def test_a_worker_whose_process_is_gone_is_not_well_and_the_living_stand_for_it(tmp_path):
    dead = but(worker="celery@before", owner=gone())
    write_pulse(tmp_path, dead)
    assert [pulse.ailment(NOW_S) for pulse in read_pulses(tmp_path)] == ["its process is gone"]

    write_pulse(tmp_path, WELL)

    assert read_pulses(tmp_path) == [WELL]
    assert read_pulses(tmp_path, "celery@before") == [dead]
    sweep_pulses(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_pulses_of_other_machines_and_broken_files_are_passed_over(tmp_path):
    write_pulse(tmp_path, but(worker="celery@elsewhere", owner="elsewhere:1"))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "odd.json").write_text('{"tasks": []}')

    assert read_pulses(tmp_path) == []
