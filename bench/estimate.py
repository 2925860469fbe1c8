"""Estimates against the runs they foretell.

    python bench/estimate.py [FOLDER…] [--samples 8 20] [--seeds 5] [--recipe web] [--publish]

Each folder is run once, in an empty state, and estimated with samples of each size and several
seeds, each processed anew. Compared are the CPU seconds, and so their cost, the bytes written, and
the time on as many workers as there are cores. A machine's CPU time for the same work differs from
run to run: the run is repeated as often as there are seeds, the truth is its mean, and how far its
own repetitions lie from that is in the table. Covered: how many intervals hold the mean.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from publication import publish

MEASURES = ("CPU", "bytes", "time")


@dataclass(frozen=True, slots=True)
class Truth:
    """What the runs of a folder took."""

    folder: Path
    images: int
    values: dict[str, list[float]]

    def mean(self, measure: str) -> float:
        """Over the runs."""
        return statistics.fmean(self.values[measure])


def pixfleet(*words: str) -> dict[str, Any]:
    """The answer of a command in an empty state."""
    with tempfile.TemporaryDirectory() as place:
        # A failed image is no reason to stop: its exit code is 1.
        done = subprocess.run(
            [sys.executable, "-m", "pixfleet.producer.cli", *words, "--json", f"--out={place}/out"],
            env={**os.environ, "PIXFLEET_STATE": f"{place}/state"},
            capture_output=True,
            text=True,
            check=False,
        )
    if not done.stdout:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def truth(folder: Path, recipe: str, times: int) -> Truth:
    runs = [pixfleet("run", str(folder), f"--recipe={recipe}") for _ in range(times)]
    return Truth(
        folder,
        runs[0]["images"],
        {
            "CPU": [one["cpu_s"] for one in runs],
            "bytes": [one["bytes_out"] for one in runs],
            "time": [one["startup_s"] + one["wall_s"] for one in runs],
        },
    )


def errors(values: list[float], mean: float) -> str:
    """How far off on average, and at the most."""
    off = [value / mean - 1 for value in values]
    return f"{statistics.fmean(map(abs, off)):.1%}, {max(off, key=abs):+.1%}"


def row(real: Truth, sample: int, recipe: str, seeds: int) -> str:
    told = [
        pixfleet(
            *("estimate", str(real.folder), f"--recipe={recipe}"),
            *(f"--sample={sample}", f"--seed={seed}"),
        )
        for seed in range(seeds)
    ]
    values = {
        "CPU": [one["cpu_s"]["expected"] for one in told],
        "bytes": [one["bytes_out"]["expected"] for one in told],
        "time": [one["time"]["wall_s"] for one in told],
    }
    off = " | ".join(errors(values[measure], real.mean(measure)) for measure in MEASURES)
    covered = sum(
        one["bytes_out"]["low"] <= real.mean("bytes") <= one["bytes_out"]["high"] for one in told
    )
    half = statistics.fmean(
        (one["cpu_s"]["high"] - one["cpu_s"]["low"]) / 2 / one["cpu_s"]["expected"] for one in told
    )
    took = statistics.fmean(one["sample_s"] for one in told)
    used = told[0]["sampled"]
    name = "all" if used == real.images else str(used)
    return f"| {name} | {off} | ±{half:.0%} | {covered} of {seeds} | {took:.1f} s |"


def report(real: Truth, samples: list[int], recipe: str, seeds: int) -> list[str]:
    own = " | ".join(errors(real.values[measure], real.mean(measure)) for measure in MEASURES)
    lines = [
        f"### {real.folder.name}: {real.images} images",
        "",
        "| measured | CPU, its cost | bytes out | time | CPU's interval | bytes covered | took |",
        "|---|---|---|---|---|---|---|",
        f"| {seeds} real runs | {own} | – | – | {real.mean('time'):.1f} s |",
    ]
    seen: set[int] = set()
    for sample in samples:
        used = min(sample, real.images)
        if used not in seen:
            seen.add(used)
            lines.append(row(real, used, recipe, seeds))
            print(lines[-1], file=sys.stderr)
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description="Estimates against the runs they foretell.")
    parser.add_argument("folders", nargs="*", type=Path, default=[Path("samples")])
    parser.add_argument("--samples", type=int, nargs="+", default=[4, 8, 20])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--recipe", default="web")
    parser.add_argument("--publish", action="store_true", help="write the results into docs/")
    options = parser.parse_args()
    lines: list[str] = []
    for folder in options.folders:
        real = truth(folder, options.recipe, options.seeds)
        lines += report(real, options.samples, options.recipe, options.seeds)
    text = "\n".join(lines)
    print(text)
    if options.publish:
        publish("estimate", text, {})


if __name__ == "__main__":
    main()
