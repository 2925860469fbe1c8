"""``python -m tests.e2e.drain_timeline``: what happens when after a worker was told to go.

For docs/reliability.md: a table in Markdown, seconds since the notice (or the signal, or the
command) was given, on this machine with two children and the settings' defaults.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pixfleet.producer.roster import Roster
from tests.e2e.spot_fleet import SpotFleet

if TYPE_CHECKING:
    from collections.abc import Callable

    from pixfleet.workers.fleet.process import WorkerProcess


@dataclass(frozen=True)
class Case:
    name: str
    jobs_s: float
    """how long each of eight jobs takes; 0: there are none"""
    known: bool
    """has the worker done such jobs before?"""
    tell: Callable[[SpotFleet, WorkerProcess], object]


def noticed(within_s: float):
    return lambda fleet, _: fleet.metadata.interrupt(within_s)


def signalled(_, worker):
    os.kill(worker.pid, signal.SIGTERM)


def drained(within_s: float):
    return lambda fleet, worker: Roster(fleet.redis).drain([worker.name], within_s)


CASES = (
    Case("notice of 120 s, idle", 0, known=False, tell=noticed(120)),
    Case("notice of 120 s, jobs of 3 s", 3, known=True, tell=noticed(120)),
    Case("notice of 120 s, jobs of 40 s, never seen before", 40, known=False, tell=noticed(120)),
    Case("notice of 5 s, jobs of 3 s", 3, known=True, tell=noticed(5)),
    Case("notice of 5 s, jobs of 3 s, never seen before", 3, known=False, tell=noticed(5)),
    Case("SIGTERM, idle", 0, known=False, tell=signalled),
    Case("SIGTERM, jobs of 3 s", 3, known=True, tell=signalled),
    Case("SIGTERM, jobs of 12 s", 12, known=True, tell=signalled),
    Case("pixfleet drain, jobs of 3 s", 3, known=True, tell=drained(120)),
    Case("pixfleet drain --within 5, jobs of 8 s", 8, known=True, tell=drained(5)),
)


def run(case: Case) -> str:
    state = Path(tempfile.mkdtemp(prefix="pf-"))
    with SpotFleet(state, PIXFLEET_SPOT_POLL_S="2") as fleet:
        worker = fleet.worker(on_spot=True)
        time.sleep(1.5)
        if case.known:
            fleet.teach(case.jobs_s)
        jobs = fleet.submit(8, case.jobs_s) if case.jobs_s else []
        if jobs:
            fleet.wait_running(2)
            time.sleep(1)
        told = dt.datetime.now(dt.UTC)
        start_s = time.monotonic()
        case.tell(fleet, worker)
        fleet.wait_gone(worker, timeout_s=130)
        gone_s = time.monotonic() - start_s

        def when(event: str) -> str:
            times = [
                (dt.datetime.fromisoformat(line["timestamp"]) - told).total_seconds()
                for line in fleet.logged(event)
            ]
            return ", ".join(f"{after_s:.1f}" for after_s in times if after_s > 0) or "–"

        counts = ", ".join(f"{count} {name}" for name, count in fleet.states(jobs).items())
        uncounted = sum(job.status().attempts == 0 for job in jobs)
        row = [
            case.name,
            when("worker.told_to_go"),
            when("worker.takes_no_more"),
            when("job.ended"),
            when("worker.gives_back"),
            f"{gone_s:.1f}, exit {worker.exit_code}",
            counts or "–",
            f"{fleet.unacked} unacked, {uncounted} without an attempt" if jobs else "–",
        ]
    shutil.rmtree(state, ignore_errors=True)
    return "| " + " | ".join(row) + " |"


def main() -> None:
    heads = ["case", "heard", "takes no more", "jobs ended", "given back", "gone"]
    heads += ["its eight jobs", "messages, attempts"]
    sys.stdout.write("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads) + "\n")
    for case in CASES:
        sys.stdout.write(run(case) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
