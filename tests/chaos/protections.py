"""Takes protections away one by one, and shows which test then fails.

python -m tests.chaos.protections [NAME…]
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from tests.chaos.worker import BOOTSTRAP

_HERE: Final = "tests/chaos/test_protections.py::test_"
TESTS: Final = {
    "acks late": f"{_HERE}without_a_sweeper_the_broker_brings_a_dead_machines_message_back",
    "reject on worker lost": f"{_HERE}without_a_sweeper_a_killed_childs_message_comes_back_at_once",
    "notice of a child's death": (
        f"{_HERE}a_killed_childs_job_runs_on_another_machine_without_waiting_for_its_lease"
    ),
    "sweeper": f"{_HERE}a_job_whose_machine_is_gone_runs_on_another_within_lease_and_ten_seconds",
    "a closed channel is a lost connection": (
        f"{_HERE}a_worker_with_one_child_busy_and_one_free_outlives_a_restart_of_its_broker"
    ),
    "heartbeat": f"{_HERE}a_job_that_takes_longer_than_its_lease_stays_with_its_worker",
    "fence": f"{_HERE}a_worker_frozen_past_its_lease_can_not_end_the_job_of_its_successor",
    "attempts are counted": f"{_HERE}a_picture_that_kills_its_process_is_put_into_quarantine",
    "ended jobs are refused": (
        f"{_HERE}a_message_that_comes_again_after_its_job_ended_changes_nothing"
    ),
    "jobs in work are refused": (
        f"{_HERE}a_message_that_comes_again_while_its_job_runs_elsewhere_is_dropped"
    ),
    "idempotency key": f"{_HERE}a_job_submitted_twice_by_one_key_is_charged_once",
}
"""The test of each protection that ``bootstrap/removals.py`` can take away."""


def _passes(test: str, without: str = "") -> bool:
    environment = {**os.environ, "PYTHONPATH": str(BOOTSTRAP)}
    if without:
        environment["PIXFLEET_TEST_WITHOUT"] = without
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode not in {0, 1} or " error" in done.stdout.splitlines()[-1]:
        raise RuntimeError(done.stdout)
    return done.returncode == 0


def main(names: list[str]) -> int:
    """A line for each protection; 1 where a test passes without it, or fails with it."""
    print("| protection removed | test that fails |\n|---|---|", flush=True)
    unshown = 0
    for name in names or TESTS:
        test = TESTS[name]
        claim = test.rpartition("test_")[2].replace("_", " ")
        verdict = ""
        if not _passes(test):
            verdict = " **(fails with it, too)**"
        elif _passes(test, name):
            verdict = " **(passes without it)**"
        unshown += bool(verdict)
        print(f"| {name} | {claim}{verdict} |", flush=True)
    return 1 if unshown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
