"""What Celery's events cost in throughput: a worker with and without them, taking turns.

    python bench/monitor/events.py [--jobs 60] [--runs 5] [--json]

Two children, which make thumbnails of a picture in each job, or see one feature of a tiny one: the
cheapest job that there is. A run is measured from the first submission to the last end: jobs a
second, and the CPU that worker and broker took for a job, which other load on the machine disturbs
less. Shown are medians, and the median and range of what neighbouring runs differ by.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TypedDict

import numpy as np
import psutil
from PIL import Image

from pixfleet.config import keys
from pixfleet.config.contract import ImageJob, Recipe
from pixfleet.config.recipes import load_recipe
from pixfleet.producer import Producer
from pixfleet.workers.embedded import EmbeddedBroker

HERE = Path(__file__).parent


class Row(TypedDict):
    """Medians; costs in percent."""

    job: str
    without_per_s: float
    with_per_s: float
    throughput: tuple[float, float, float]
    without_cpu_ms: float
    with_cpu_ms: float
    cpu: tuple[float, float, float]


def noise(side_px: int) -> Image.Image:
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 255, (side_px // 16, side_px // 16, 3), np.uint8))
    return small.resize((side_px, side_px), Image.Resampling.BICUBIC)


JOBS = {
    "thumbnails of 1 MP": (load_recipe("thumbnail"), noise(1024), 1),
    "one feature of 0.07 MP": (Recipe(name="hash", features=("phash",)), noise(256), 15),
}
"""Recipe, picture, and how many times as many jobs."""


def cpu_s(processes: list[psutil.Process]) -> float:
    tree = [*processes, *(child for one in processes for child in one.children(recursive=True))]
    return sum(sum(one.cpu_times()[:2]) for one in tree)


def once(recipe: Recipe, picture: Image.Image, jobs: int, *, events: bool) -> tuple[float, float]:
    """Jobs a second, and CPU ms a job."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pf-"))
        state = Path(folder)
        source = state / "picture.jpg"
        picture.save(source, quality=90)
        broker = stack.enter_context(EmbeddedBroker(state))
        environment = {
            **os.environ,
            "PIXFLEET_BROKER": broker.url,
            "PIXFLEET_STATE": folder,
            "PIXFLEET_MEMO_ENABLED": "false",
            "PIXFLEET_WORKER_CONCURRENCY": "2",
            "PYTHONPATH": str(HERE),
        }
        app = "pixfleet.workers.app" if events else "silent"
        command = [f"--app={app}", "--quiet", "worker", "--loglevel=error"]
        with (state / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", *command], stdout=log, stderr=log, env=environment
            )
        stack.callback(worker.wait, 30)
        stack.callback(worker.terminate)
        producer = Producer(broker.url)
        redis = producer.ledger.redis
        while not redis.zcard(keys.WORKERS):
            time.sleep(0.1)

        def end(count: int, batch: str) -> None:
            job = ImageJob(source=str(source), output=folder, recipe=recipe, batch=batch)
            sent = sum(1 for _ in producer.submit_many([job] * count))
            while producer.batch(batch).ended < sent:
                time.sleep(0.02)

        end(20, "warm")
        server = redis.info("server")
        processes = [psutil.Process(worker.pid), psutil.Process(int(server["process_id"]))]
        before_s, began_s = cpu_s(processes), time.monotonic()
        end(jobs, "all")
        lasted_s = time.monotonic() - began_s
        return jobs / lasted_s, 1000 * (cpu_s(processes) - before_s) / jobs


def spread(values: list[float]) -> tuple[float, float, float]:
    return statistics.median(values), min(values), max(values)


def main() -> None:
    parser = argparse.ArgumentParser(description="What events cost.")
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows: list[Row] = []
    for name, (recipe, picture, times) in JOBS.items():
        silent: list[tuple[float, float]] = []
        told: list[tuple[float, float]] = []
        for number in range(asked.runs):
            for events in (True, False) if number % 2 else (False, True):
                seen = once(recipe, picture, asked.jobs * times, events=events)
                (told if events else silent).append(seen)
        pairs = list(zip(told, silent, strict=True))
        rows.append(
            {
                "job": name,
                "without_per_s": statistics.median(rate for rate, _ in silent),
                "with_per_s": statistics.median(rate for rate, _ in told),
                "throughput": spread([100 * (1 - on[0] / off[0]) for on, off in pairs]),
                "without_cpu_ms": statistics.median(cpu for _, cpu in silent),
                "with_cpu_ms": statistics.median(cpu for _, cpu in told),
                "cpu": spread([100 * (on[1] / off[1] - 1) for on, off in pairs]),
            }
        )
    if asked.json:
        print(json.dumps(rows, indent=1))
        return
    print(
        "| job | jobs/s without events | with | cost (range) | CPU ms a job without | with | cost |"
    )
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        rate, cpu = (
            f"{middle:.1f}% ({least:.1f} to {most:.1f}%)"
            for middle, least, most in (row["throughput"], row["cpu"])
        )
        print(
            f"| {row['job']} | {row['without_per_s']:.1f} | {row['with_per_s']:.1f} | {rate} "
            f"| {row['without_cpu_ms']:.2f} | {row['with_cpu_ms']:.2f} | {cpu} |"
        )


if __name__ == "__main__":
    main()
