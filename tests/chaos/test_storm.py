"""A short storm; ``make chaos`` is the long one."""

from __future__ import annotations

import os

import pytest

from tests.chaos import report
from tests.chaos.harness import run
from tests.chaos.storm import Plan

_SEED = int(os.environ.get("PIXFLEET_TEST_SEED", "11"))


@pytest.mark.timeout(240)
def test_after_a_storm_every_job_has_ended_once_is_whole_and_charged_once():
    plan = Plan(
        seed=_SEED,
        jobs=40,
        faults=8,
        every_s=1.2,
        workers=2,
        lease_s=3,
        hard_limit_s=9,
        settle_s=90,
    )

    outcome = run(plan)

    assert sum(outcome.faults.values()) == plan.faults
    assert not outcome.violations, report.markdown(outcome)
