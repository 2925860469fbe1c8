"""Start-up, second run, submit rate and memory of `pixfleet run`, and where start-up time goes.

    python bench/start.py [PHOTOS] [--runs 3] [--jobs 20000] [--json]

Start-up is from the process's begin, imports included, to the first job submitted. The second run
repeats the first over the same input and output; both walls are from the first submit to the last
result. Jobs are submitted from one process to an embedded broker without a worker. Memory is the
high-water mark of a worker's child on the photo nearest to 13 MP, its parent's pages included.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from pixfleet.config.contract import ImageJob
from pixfleet.producer.client import Producer
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.fleet.process import WorkerProcess

RUN = [sys.executable, "-m", "pixfleet.producer.cli", "run"]
WORKER = "pixfleet.workers.lean"
COMMAND_IMPORTS = "import pixfleet.producer.cli, pixfleet.workers.run, pixfleet.workers.progress"
WORKER_IMPORTS = (
    "import pixfleet.workers.lean, pixfleet.workers.tasks.prepare, pixfleet.workers.tasks.encode, "
    "pixfleet.workers.tasks.finalize, pixfleet.workers.tasks.summarize"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure against its goal."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None


def command(source: Path, place: Path, *options: str) -> list[str]:
    where = [str(source), f"--out={place / 'out'}", f"--state={place / 'state'}", "--json"]
    return [*RUN, *where, *options]


def two_runs(photos: Path, runs: int) -> list[Figure]:
    startups: list[float] = []
    ends: list[float] = []
    walls: list[tuple[float, float]] = []
    for turn in range(runs):
        with tempfile.TemporaryDirectory() as place:
            first, second = (_timed(command(photos, Path(place))) for _ in range(2))
        if second[1]["memo_hits"] != second[1]["images"]:
            raise RuntimeError(f"the second run did not remember: {second[1]}")
        for elapsed_s, result in (first, second):
            startups.append(result["startup_s"])
            ends.append(elapsed_s - result["startup_s"] - result["wall_s"])
        walls.append((first[1]["wall_s"], second[1]["wall_s"]))
        print(f"run {turn + 1}: {startups[-2:]} {walls[-1]}", file=sys.stderr)
    startup_s = statistics.median(startups)
    ratio = statistics.median(first / second for first, second in walls)
    return [
        Figure("command to first job submitted", startup_s, "s", "≤ 3", startup_s <= 3),
        Figure("first run, wall", statistics.median(first for first, _ in walls), "s"),
        Figure("second run, wall", statistics.median(second for _, second in walls), "s"),
        Figure("second run shorter by", ratio, "x", "≥ 30", ratio >= 30),
        Figure("last result to the shell's prompt", statistics.median(ends), "s"),
    ]


def _timed(words: list[str]) -> tuple[float, dict[str, Any]]:
    start_s = time.monotonic()
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return time.monotonic() - start_s, json.loads(done.stdout)


def submit_rate(jobs: int, runs: int) -> list[Figure]:
    rates: list[float] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as state, EmbeddedBroker(Path(state)) as broker:
            producer = Producer(broker.url)
            wanted = (
                ImageJob(source=f"/photos/{number}.jpg", output="/out", batch="bench")
                for number in range(jobs)
            )
            start_s = time.monotonic()
            accepted = sum(handle.accepted for handle in producer.submit_many(wanted))
            rates.append(accepted / (time.monotonic() - start_s))
    rate = statistics.median(rates)
    return [Figure("submitted from one process", rate, "jobs/s", "≥ 3,000", rate >= 3000)]


def start_parts(runs: int) -> list[Figure]:
    """Broker and worker by themselves, and a worker child that has had no job."""
    broker_s: list[float] = []
    worker_s: list[float] = []
    stop_s: list[float] = []
    idle_mb: list[float] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as place:
            state = Path(place)
            start_s = time.monotonic()
            with EmbeddedBroker(state) as broker:
                broker_s.append(time.monotonic() - start_s)
                environment = {
                    "PIXFLEET_BROKER": broker.url,
                    "PIXFLEET_LEDGER": "",
                    "PIXFLEET_STATE": place,
                }
                client = Producer(broker.url).ledger.redis
                start_s = time.monotonic()
                with WorkerProcess(
                    client, children=1, environment=environment, log=state / "worker.log"
                ) as worker:
                    worker.wait_ready()
                    worker_s.append(time.monotonic() - start_s)
                    time.sleep(0.5)
                    idle_mb += [
                        _memory_mb(pid, "status", "VmHWM:") for pid in _pool_children("self")
                    ]
                    start_s = time.monotonic()
                stop_s.append(time.monotonic() - start_s)
    return [
        Figure("broker started", statistics.median(broker_s), "s"),
        Figure("worker started and ready", statistics.median(worker_s), "s"),
        Figure("worker stopped", statistics.median(stop_s), "s"),
        Figure("child without a job, peak", statistics.median(idle_mb), "MB"),
    ]


def peak_memory(photo: Path, runs: int) -> list[Figure]:
    peaks: list[tuple[float, float]] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as place:
            words = command(photo, Path(place), "--recipe=web", "--workers=1")
            peak_mb = own_mb = 0.0
            with subprocess.Popen(words, stdout=subprocess.DEVNULL) as process:
                while process.poll() is None:
                    for child in _pool_children(process.pid):
                        peak_mb = max(peak_mb, _memory_mb(child, "status", "VmHWM:"))
                        own_mb = max(own_mb, _memory_mb(child, "smaps_rollup", "Private_"))
                    time.sleep(0.02)
            peaks.append((peak_mb, own_mb))
    with Image.open(photo) as image:
        megapixels = image.width * image.height / 1e6
    peak_mb = statistics.median(peak for peak, _ in peaks)
    own_mb = statistics.median(own for _, own in peaks)
    name = f"child on {megapixels:.1f} MP with the web recipe"
    return [
        Figure(f"{name}, peak", peak_mb, "MB", "≤ 250", peak_mb <= 250),
        Figure(f"{name}, peak of what is its own alone", own_mb, "MB"),
    ]


def _pool_children(keeper: int | str) -> list[int]:
    """The pool's children of the worker that a process started."""
    found: list[int] = []
    for pid in _children(keeper):
        with contextlib.suppress(OSError):
            if WORKER in Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace"):
                found += _children(pid)
    return found


def _memory_mb(pid: int, file: str, field: str) -> float:
    """Sum of the fields that begin so, in MB; 0 when the process has gone."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/{file}").read_text("utf-8", "replace").splitlines()
        return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(field))
    return 0.0


def _children(pid: int | str) -> list[int]:
    with contextlib.suppress(OSError):
        found: list[int] = []
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text("ascii").split())
        return found
    return []


def import_ms(statement: str) -> dict[str, float]:
    """Milliseconds of imports by top package, largest first."""
    words = [sys.executable, "-X", "importtime", "-c", statement]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stderr.splitlines()
    spent: Counter[str] = Counter()
    for line in lines:
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdecimal():
            spent[name.strip().split(".")[0]] += int(own)
    return {name: us / 1000 for name, us in spent.most_common()}


def table(figures: list[Figure], imports: dict[str, dict[str, float]]) -> None:
    print("| figure | median | goal | |")
    print("|---|---|---|---|")
    for one in figures:
        verdict = "" if one.met is None else "met" if one.met else "**missed**"
        value = f"{one.value:,.0f}" if one.value >= 100 else f"{one.value:.2f}"
        print(f"| {one.name} | {value} {one.unit} | {one.goal} | {verdict} |")
    print("\n| imports of | all | by package |")
    print("|---|---|---|")
    for name, spent in imports.items():
        largest = ", ".join(f"{package} {ms:.0f}" for package, ms in list(spent.items())[:8])
        print(f"| {name} | {sum(spent.values()):.0f} ms | {largest} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="?", type=Path, default=Path("samples"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    jpegs = [path for path in chosen.photos.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"}]
    if not jpegs:
        sys.exit(f"no JPEG in {chosen.photos}")
    near_13 = min(jpegs, key=_from_13_mp)
    figures = [
        *two_runs(chosen.photos, chosen.runs),
        *start_parts(chosen.runs),
        *submit_rate(chosen.jobs, chosen.runs),
        *peak_memory(near_13, chosen.runs),
    ]
    imports = {"the command": import_ms(COMMAND_IMPORTS), "the worker": import_ms(WORKER_IMPORTS)}
    if chosen.json:
        print(json.dumps({"figures": [asdict(one) for one in figures], "import_ms": imports}))
    else:
        table(figures, imports)


def _from_13_mp(photo: Path) -> float:
    with Image.open(photo) as image:
        return abs(image.width * image.height - 13e6)


if __name__ == "__main__":
    main()
