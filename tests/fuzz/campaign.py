"""``make fuzz``: damaged files by the thousand through a worker's first step; what came of them."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from pixfleet.config.settings import Settings
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.runtime import build_runtime

from .mutate import mutated
from .pool import Case, Pool
from .seeds import folder_seeds, seeds
from .target import ENVIRONMENT, UNFORESEEN, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .pool import Try

LIMIT_S = 15.0
DATA_BYTES = 1_200_000_000
_WARM = 300
"""Cases after which a child has loaded what it loads once."""
_MB = 1e6
_SAY_S = 10


@dataclass(slots=True)
class Tally:
    """What a campaign has seen so far."""

    codes: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    findings: list[Case] = field(default_factory=list)
    slowest: list[Case] = field(default_factory=list)
    peak_bytes: int = 0
    cases: int = 0
    took_s: float = 0.0
    _rss: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, case: Case) -> None:
        """Count a case."""
        self.cases += 1
        self.codes[case.kind][case.code] += 1
        if case.code in UNFORESEEN | {"crash", "hang"} or case.code.endswith("out_of_memory"):
            self.findings.append(case)
        self.slowest = sorted([*self.slowest, case], key=lambda one: -one.took_s)[:5]
        self.peak_bytes = max(self.peak_bytes, case.rss_bytes)
        if case.rss_bytes:
            self._rss[case.child].append(case.rss_bytes)

    @property
    def growth(self) -> list[tuple[int, float, float]]:
        """Of each child that lived long: cases, bytes resident when warm, and at its end."""
        lived = [rss for rss in self._rss.values() if len(rss) > 2 * _WARM]
        return [(len(rss), _median(rss[_WARM : 2 * _WARM]), _median(rss[-_WARM:])) for rss in lived]


def _median(values: list[int]) -> float:
    return float(sorted(values)[len(values) // 2])


class Cases:
    """The damaged files of a campaign by their numbers."""

    def __init__(self, files: Mapping[str, bytes], seed: int) -> None:
        self._names = sorted(files)
        self._files = files
        self._seed = seed
        self._alike = list(files.values())

    def make(self, number: int) -> tuple[str, bytes]:
        """The format of the seed, and the damaged file."""
        random = Random(f"{self._seed}:{number}")
        name = random.choice(self._names)
        return name.split("-", 1)[0], mutated(random, self._files[name], self._alike)


def campaign(
    cases: Cases,
    numbers: range,
    folder: Path,
    *,
    children: int = 2,
    seen: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Try the cases; files that crash, hang or end in an unforeseen way are saved in ``folder``."""
    start_s = time.monotonic()
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="pf-fuzz-") as name, EmbeddedBroker(name) as broker:
        work = Path(name)
        own_settings = {**ENVIRONMENT, "PIXFLEET_BROKER": broker.url, "PIXFLEET_STATE": name}

        def prepare(child: int) -> Try:
            os.environ.update(own_settings)
            own = work / f"child-{child}"
            own.mkdir()
            target = Target(build_runtime(Settings.load()), own)

            def attempt(number: int) -> tuple[str, str, str]:
                kind, data = cases.make(number)
                return (kind, *target(data))

            return attempt

        pool = Pool(prepare, children=children, limit_s=LIMIT_S, data_bytes=DATA_BYTES, folder=work)
        for case in pool.cases(numbers):
            kind, data = cases.make(case.number)
            tally.add(case if case.kind != "?" else _of_kind(case, kind))
            if tally.findings and tally.findings[-1].number == case.number:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{case.number}-{case.code}.{kind}").write_bytes(data)
                (folder / f"{case.number}-{case.code}.txt").write_text(
                    case.detail.replace("\\n", "\n")
                )
            seen(tally)
    tally.took_s = time.monotonic() - start_s
    return tally


def _of_kind(case: Case, kind: str) -> Case:
    return Case(case.number, kind, case.code, case.detail, case.took_s, case.child, case.rss_bytes)


def table(tally: Tally) -> str:
    """The tally as a page's table and the lines below it."""
    codes = Counter[str]()
    for counts in tally.codes.values():
        codes += counts
    names = [code for code, _ in codes.most_common()]
    lines = [
        f"| format | files | {' | '.join(names)} |",
        f"|---|--:|{'--:|' * len(names)}",
    ]
    for kind, counts in sorted(tally.codes.items(), key=lambda item: -item[1].total()):
        cells = " | ".join(str(counts[name] or "") for name in names)
        lines.append(f"| {kind} | {counts.total()} | {cells} |")
    lines.append(f"| all | {tally.cases} | {' | '.join(str(codes[name]) for name in names)} |")
    slow = ", ".join(
        f"{case.took_s:.2f} s ({case.kind}, case {case.number})" for case in tally.slowest
    )
    others = len(tally.findings) - codes["crash"] - codes["hang"]
    lines += [
        "",
        f"crashes {codes['crash']}, hangs {codes['hang']}, other findings {others}",
        f"{tally.took_s:.0f} s in all",
        f"slowest: {slow}",
        f"most resident after a case: {tally.peak_bytes / _MB:.0f} MB",
    ]
    lines += [
        f"a child of {count} cases: {warm / _MB:.0f} MB when warm, {last / _MB:.0f} MB at its end"
        for count, warm, last in tally.growth
    ]
    return "\n".join(lines)


def main() -> int:
    """Run a campaign from the command line; the exit code is 1 where it found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="damaged files to try")
    parser.add_argument("--seed", type=int, default=1, help="another one makes other files")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", type=int, help="the number of one case to try again")
    parser.add_argument("--folder", type=Path, help="of images to damage besides those made here")
    parser.add_argument("--findings", type=Path, default=Path("out/fuzz"))
    asked = parser.parse_args()
    files = seeds() | (folder_seeds(asked.folder) if asked.folder else {})
    numbers = range(asked.count) if asked.only is None else range(asked.only, asked.only + 1)
    said_s = time.monotonic()

    def seen(tally: Tally) -> None:
        nonlocal said_s
        if time.monotonic() - said_s > _SAY_S:
            said_s = time.monotonic()
            sys.stderr.write(f"{tally.cases} cases, {len(tally.findings)} findings\n")

    tally = campaign(
        Cases(files, asked.seed), numbers, asked.findings, children=asked.children, seen=seen
    )
    out = [f"seed {asked.seed}, {len(files)} files to damage", "", table(tally)]
    for case in tally.findings[:20]:
        out += ["", f"case {case.number} ({case.kind}): {case.code}: {case.detail[:300]}"]
    sys.stdout.write("\n".join([*out, ""]))
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
