"""What it costs to know what jobs cost, as a share of their own CPU.

    python bench/metering.py [IMAGE ...] [--jobs 20] [--rounds 5] [--json]

Jobs are done in this process by the steps that workers run, with a real broker: the images (samples
if none are named) by the built-in recipe ``web``, and a photograph of 240 px as one thumbnail of
96 px, which is about the smallest job that there is. Beside their CPU stand, medians of rounds:

- meter: entering and leaving the stages that a job has, with its looks at clocks and memory;
- receipt: making it, and the lines that the ledger is told;
- Redis: time in the script that ends a job, with what charges it and without;
- account: the word that a worker's main process gives every 2 s, for two children that are busy.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from PIL import Image

from pixfleet.config.contract import ImageJob, Recipe, VariantSpec
from pixfleet.config.settings import Settings
from pixfleet.producer.client import registration
from pixfleet.workers.conclusion import begin, conclude
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.preparation import prepare_job
from pixfleet.workers.runtime import Runtime, build_runtime
from pixfleet.workers.spend.account import Account
from pixfleet.workers.spend.experience import experience
from pixfleet.workers.spend.meter import Meter, charges, merge

if TYPE_CHECKING:
    from collections.abc import Callable

    from pixfleet.config.results import Manifest

SAMPLES = Path(__file__).parents[1] / "samples"
THUMBNAIL = Recipe(
    name="thumbnail",
    variants=(VariantSpec(name="t", width=96, formats=("jpeg",)),),
    quality=75,
    features=(),
)
EVERY_S, CHILDREN = 2.0, 2
CHARGE = "charge(job[4], job[6], lines, tonumber(ARGV[8]))"
EXPERIENCE = "if #seen[1] > 0 then"


def cpu_ms(act: Callable[[], object], times: int) -> float:
    """CPU of this process for one of so many."""
    began_s = time.process_time()
    for _ in range(times):
        act()
    return (time.process_time() - began_s) * 1000 / times


def process(runtime: Runtime, job: ImageJob) -> Manifest:
    """One job, by a worker's steps."""
    registered = registration(job)
    runtime.ledger.register([registered])
    claim = runtime.ledger.claim(registered.id)
    prepared = prepare_job(
        runtime, job, begin(registered.id, job, 1), claim.fence, whatever_it_needs=True
    )
    conclude(runtime, prepared.job, prepared.draft, [], claim.fence)
    manifest = runtime.ledger.manifest(registered.id)
    assert manifest is not None, "the job has not ended"
    return manifest


class Scripts:
    """The script that ends a job, as it is and without what is charged."""

    def __init__(self, runtime: Runtime) -> None:
        self._ledger = runtime.ledger
        whole: Any = self._ledger._complete  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] (for another in its place)
        text: str = whole.script
        assert CHARGE in text, "the script has changed"
        assert EXPERIENCE in text, "the script has changed"
        bare = text.replace(CHARGE, "").replace(EXPERIENCE, "if false then")
        self._scripts = {True: whole, False: self._ledger.redis.register_script(bare)}

    def redis_ms(self, manifest: Manifest, times: int, *, charging: bool) -> float:
        """Redis' time for one end of such a job."""
        jobs = [
            registration(ImageJob(source="/a.jpg", output="/out", recipe=manifest.recipe))
            for _ in range(times)
        ]
        self._ledger.register(jobs)
        fences = [self._ledger.claim(job.id).fence for job in jobs]
        self._ledger._complete = self._scripts[charging]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._ledger.redis.config_resetstat()
        for job, fence in zip(jobs, fences, strict=True):
            ended = self._ledger.complete(manifest.model_copy(update={"job_id": job.id}), fence)
            assert ended.accepted
        self._ledger._complete = self._scripts[True]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        stats: Any = self._ledger.redis.info("commandstats")
        return stats["cmdstat_evalsha"]["usec_per_call"] / 1000


def round_of(runtime: Runtime, job: ImageJob, jobs: int, account: Account) -> dict[str, float]:
    """CPU in ms of one job, and of what knows it."""
    entered = 0
    stage = Meter.stage

    def counted(meter: Meter, name: str) -> Any:
        nonlocal entered
        entered += 1
        return stage(meter, name)

    setattr(Meter, "stage", counted)  # noqa: B010 (to count, for this one job)
    try:
        manifest = process(runtime, job)
    finally:
        Meter.stage = stage
    assert manifest.status == "done", manifest.failures
    job_ms = cpu_ms(lambda: process(runtime, job), jobs)

    meter = runtime.meter()
    names = [use.stage for use in manifest.receipt.stages]

    def empty_stages() -> None:
        for place in range(entered):
            with meter.stage(names[place % len(names)]):
                pass

    def told() -> None:
        receipt = merge([meter.receipt()])
        charges(receipt)
        json.dumps(experience(manifest))

    scripts = Scripts(runtime)
    with_ms = scripts.redis_ms(manifest, 100, charging=True)
    without_ms = scripts.redis_ms(manifest, 100, charging=False)
    word_ms = cpu_ms(account.say, 5)
    return {
        "job": job_ms,
        "stages": entered,
        "meter": cpu_ms(empty_stages, 50),
        "receipt": cpu_ms(told, 50),
        "Redis": with_ms - without_ms,
        "account": job_ms * word_ms / (EVERY_S * 1000 * CHILDREN),
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", nargs="*", type=Path)
    parser.add_argument("--jobs", type=int, default=20, help="thumbnails a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(prefix="pf-") as name, EmbeddedBroker(name) as broker:
        os.environ |= {
            "PIXFLEET_BROKER": broker.url,
            "PIXFLEET_STATE": name,
            "PIXFLEET_MEMO_ENABLED": "false",
        }
        settings = Settings.load()
        runtime = build_runtime(settings)
        account = Account(settings, runtime.machine, CHILDREN, time.monotonic_ns())
        small = Path(name) / "small.jpg"
        with Image.open(SAMPLES / "kodim23.png") as image:
            image.resize((240, 160)).save(small, quality=90)
        images = arguments.images or [SAMPLES / "kodim23.png", SAMPLES / "rocket.jpg"]
        jobs = {"thumbnail": (small, THUMBNAIL, arguments.jobs)}
        jobs |= {image.name: (image, "web", 1) for image in images}
        rows: dict[str, dict[str, float]] = {}
        for title, (source, recipe, times) in jobs.items():
            job = ImageJob(source=str(source.resolve()), output=f"{name}/out", recipe=recipe)
            process(runtime, job)
            rounds = [round_of(runtime, job, times, account) for _ in range(arguments.rounds)]
            row = {what: statistics.median(r[what] for r in rounds) for what in rounds[0]}
            parts = ("meter", "receipt", "Redis", "account")
            row["share"] = statistics.median(sum(r[p] for p in parts) / r["job"] for r in rounds)
            rows[title] = row
    if arguments.json:
        print(json.dumps(rows))
        return
    print("| job | its CPU, ms | stages | meter, ms | receipt | Redis | account | share |")
    print("|---|---|---|---|---|---|---|---|")
    for title, row in rows.items():
        parts = " | ".join(f"{row[part]:.3f}" for part in ("meter", "receipt", "Redis", "account"))
        print(
            f"| {title} | {row['job']:.1f} | {row['stages']:.0f} | {parts} | {row['share']:.2%} |"
        )


if __name__ == "__main__":
    main()
