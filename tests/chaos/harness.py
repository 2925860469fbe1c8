"""A storm: real brokers, real workers, a stream of small jobs, and faults by a printed seed.

python -m tests.chaos.harness --seed 1 --jobs 2000 --faults 200 --broker redis
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from unittest import mock

from tests.brokers import AS_EMBEDDED, LoopbackBroker
from tests.chaos import invariants, report
from tests.chaos.aws import Aws
from tests.chaos.disk import SmallDisk
from tests.chaos.skew import compile_skew
from tests.chaos.storm import Plan, Storm

_DISK_MIB: Final = 64


@dataclass
class Outcome:
    """What came of it."""

    plan: Plan
    faults: dict[str, int]
    recovery: dict[str, dict[str, float]]
    states: dict[str, int]
    codes: dict[str, int]
    violations: list[str]
    wall_s: float
    settled_s: float
    """from the last fault until the last job had ended"""

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1)


def run(plan: Plan, *, keep: bool = False) -> Outcome:
    """One storm, from an empty machine to an empty machine."""
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    began_s = time.monotonic()
    with ExitStack() as stack:
        valkey = stack.enter_context(LoopbackBroker(folder / "valkey", *AS_EMBEDDED))
        aws = stack.enter_context(Aws(folder / "aws.log"))
        # This process is a producer of the same account.
        stack.enter_context(mock.patch.dict(os.environ, aws.environment))
        disk = stack.enter_context(SmallDisk(folder / "disk", _DISK_MIB))
        storm = Storm(plan, folder, valkey, aws, disk, compile_skew(folder))
        try:
            storm.rage()
            settled_s = storm.settle()
            violations = invariants.check(storm)
        finally:
            storm.fleet.end()
        violations += invariants.check_left(storm)
        states, codes = invariants.endings(storm)
    outcome = Outcome(
        plan,
        dict(storm.done),
        storm.recovery.figures(),
        states,
        codes,
        violations,
        time.monotonic() - began_s,
        settled_s,
    )
    if violations or keep:
        print(f"seed {plan.seed}: what is left is in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def main() -> int:
    """Run one storm and say what came of it; 1 where an invariant did not hold."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked.add_argument("--jobs", type=int, default=2000)
    asked.add_argument("--faults", type=int, default=200)
    asked.add_argument("--broker", choices=("redis", "sqs"), default="redis")
    asked.add_argument("--every", type=float, default=Plan.every_s, help="seconds between faults")
    asked.add_argument("--json", type=Path, help="write the outcome there")
    asked.add_argument("--keep", action="store_true", help="keep logs and outputs")
    given = asked.parse_args()
    plan = Plan(given.seed, given.jobs, given.faults, given.broker, given.every)
    print(f"seed {plan.seed}", file=sys.stderr)
    outcome = run(plan, keep=given.keep)
    if given.json:
        given.json.write_text(outcome.as_json())
    print(report.markdown(outcome))
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
