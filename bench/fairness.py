"""How long ten jobs of one tenant wait behind thousands of another's, and what taking turns costs.

    python bench/fairness.py [--jobs 3000] [--runs 3] [--json]

A real fleet of two children. ``big`` submits its jobs, then ``small`` its ten; shown are the time
from then until the last of the ten has ended, and the jobs a second of all of them. The rows: one
queue in the order of arrival (a depth that holds everything), and turns with the default depth and
the least. Jobs take some milliseconds, so waiting is what is measured; rounds are interleaved and
medians shown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from PIL import Image

from pixfleet.config.contract import ImageJob, Recipe
from pixfleet.producer import Producer
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.fleet.process import WorkerProcess

RECIPE = Recipe(name="hash", features=("phash",))
DEPTHS = {"order of arrival": 1_000_000, "turns, depth 256 (default)": 256, "turns, depth 20": 20}
FEW = 10


def once(jobs: int, depth: int) -> tuple[float, float]:
    """Seconds until the ten have ended, and jobs a second."""
    with tempfile.TemporaryDirectory(prefix="pf-") as folder:
        state = Path(folder)
        picture = state / "picture.png"
        Image.linear_gradient("L").save(picture)
        os.environ |= {"PIXFLEET_QUEUE_DEPTH": str(depth), "PIXFLEET_MEMO_ENABLED": "false"}
        with EmbeddedBroker(state) as broker:
            producer = Producer(broker.url)
            environment = {"PIXFLEET_BROKER": broker.url, "PIXFLEET_STATE": folder}
            redis, log = producer.ledger.redis, state / "worker.log"
            with WorkerProcess(redis, children=2, environment=environment, log=log) as worker:
                worker.wait_ready()
                start_s = time.monotonic()
                for tenant, count in (("big", jobs), ("small", FEW)):
                    job = ImageJob(
                        source=str(picture),
                        output=folder,
                        recipe=RECIPE,
                        tenant=tenant,
                        batch=tenant,
                    )
                    sent = sum(1 for _ in producer.submit_many([job] * count))
                    assert sent == count
                asked_s = time.monotonic()
                while producer.batch("small").ended < FEW:
                    time.sleep(0.01)
                waited_s = time.monotonic() - asked_s
                while producer.batch("big").ended < jobs:
                    time.sleep(0.05)
                return waited_s, (jobs + FEW) / (time.monotonic() - start_s)


def main() -> None:
    parser = argparse.ArgumentParser(description="Turns of tenants on one queue.")
    parser.add_argument("--jobs", type=int, default=3_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    seen: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(asked.runs):
        for name, depth in DEPTHS.items():
            seen[name].append(once(asked.jobs, depth))
    rows = [
        {
            "queue": name,
            "ten_jobs_s": round(statistics.median(waited for waited, _ in runs), 2),
            "jobs_per_s": round(statistics.median(rate for _, rate in runs), 1),
        }
        for name, runs in seen.items()
    ]
    if asked.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"| queue | {FEW} jobs behind {asked.jobs} ended after | jobs/s of all |")
    print("|---|---|---|")
    for row in rows:
        print(f"| {row['queue']} | {row['ten_jobs_s']} s | {row['jobs_per_s']} |")


if __name__ == "__main__":
    main()
