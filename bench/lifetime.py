"""What pictures cost over three lives, by pixfleet and by peers that keep the same floor.

    python bench/lifetime.py [FOLDER…] [--sharp-dir bench/peers] [--floor 75] [--publish]

Each picture is scaled to at most 1.3 MP. pixfleet gets the floor as its target and the life as its
objective, in formats that viewers accept about as widely as the peers' (JPEG XL for the archive
alone). A peer has one quality for all pictures, as its user would find it by trying: the lowest
that keeps the floor, whether above or below its default. What that trying costs is not charged, and
what it is held to is lenient: the 10th percentile of its SSIMULACRA2 scores is at least the floor,
so a tenth of its pictures may be worse. Every one of pixfleet's keeps the floor less 0.5. Below
each table stands pixfleet against peers at their defaults, and against peers held to what pixfleet
keeps. CPU is measured, pixfleet's with its whole search.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from charts.bars import Bar, Group, bars_chart
from contest.floor import AtQuality
from contest.lives import LIVES, PARTS, Costs
from contest.runs import pixfleet_run
from judges.panel import SECOND_JUDGES, SSIMULACRA2, Panel
from peers.sharp import SHARP_DIR
from peers.table import peers
from pixfleet.config.prices import load_prices
from publication import publish
from sets.masters import masters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from contest.lives import Life
    from contest.runs import Run

MILLION = 1_000_000
BELOW = 0.5
AS_IT_COMES = "Peers whose default keeps the floor in its 10th percentile"
BY_TENTH = "Peers at the lowest quality that does"
BY_ALL = f"Peers at the lowest quality at which every picture keeps the floor less {BELOW:g}"


@dataclass(frozen=True)
class Bill:
    """One encoder's, over one life, in US dollars for a million pictures like those of the set."""

    run: Run
    parts: dict[str, float]

    @property
    def usd(self) -> float:
        """All parts."""
        return sum(self.parts.values())


def bill(costs: Costs, run: Run) -> Bill:
    usd = costs.usd(run)
    return Bill(run, {part: MILLION * usd[part] for part in PARTS})


def table(life: Life, bills: Sequence[Bill], ours: Bill) -> Iterator[str]:
    yield f"\n### {str(life).capitalize()}\n"
    yield (
        "| encoder | quality | p10 | lowest | KB | CPU ms/MP | $ a million "
        "| compute | requests | storage | egress | butteraugli mean, worst | MS-SSIM dB |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for one in sorted(bills, key=lambda one: one.usd):
        run = one.run
        name = f"**{run.name}** ({run.chosen})" if one is ours else run.name
        parts = " | ".join(f"{one.parts[part]:,.2f}" for part in PARTS)
        said = " | ".join(judge.told(run.by(judge)) for judge in SECOND_JUDGES)
        yield (
            f"| {name} | {run.setting:g} | {run.p10:.1f} | {run.worst(SSIMULACRA2):.1f} "
            f"| {sum(run.sizes) / 1e3:.0f} | {run.cpu_ms_per_mp:.0f} | {one.usd:,.2f} "
            f"| {parts} | {said} |"
        )


def verdict(ours: Bill, peers: dict[str, Sequence[Bill]]) -> Iterator[str]:
    """Pixfleet against the best of several ways to hold the peers to the floor."""
    yield ""
    for held, bills in peers.items():
        if not bills:
            yield f"- {held}: none."
            continue
        best = min(bills, key=lambda one: one.usd)
        less = 1 - ours.usd / best.usd
        yield (
            f"- {held}: pixfleet costs **{abs(less):.1%} {'less' if less >= 0 else 'more'}** than "
            f"the best, {best.run.name} at quality {best.run.setting:g} ({best.usd:,.2f})."
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of pictures over three lives.")
    parser.add_argument("folders", nargs="*", type=Path, default=[Path("samples")])
    parser.add_argument("--sharp-dir", type=Path, default=SHARP_DIR, help="with node_modules")
    parser.add_argument("--floor", type=float, default=75.0)
    parser.add_argument("--book", default="aws-us-east-1", help="price book")
    parser.add_argument("--publish", action="store_true", help="write the results into docs/")
    options = parser.parse_args()

    cv2.setNumThreads(1)
    book, panel = load_prices(options.book), Panel()
    pictures = list(masters(options.folders))
    floor = options.floor
    held: dict[str, list[Run]] = {name: [] for name in (AS_IT_COMES, BY_TENTH, BY_ALL)}
    for peer in peers(options.sharp_dir):
        at = AtQuality(peer, pictures, panel)
        by_tenth = at.lowest(lambda run: run.p10 >= floor)
        by_all = at.lowest(lambda run: run.worst(SSIMULACRA2) >= floor - BELOW)
        held[BY_TENTH] += [by_tenth] if by_tenth else []
        held[BY_ALL] += [by_all] if by_all else []
        if at.default.p10 >= floor:
            held[AS_IT_COMES].append(at.default)
        found = by_tenth.setting if by_tenth else "none"
        print(f"{peer.name}: quality {found}", file=sys.stderr)
    tuned = held[BY_TENTH]
    megapixels = sum(one.megapixels for one in pictures)
    told = f"{len(pictures)} pictures, {megapixels:.1f} MP; floor {floor:g}"
    lines = [f"{told}; prices of {book.label}, {book.instance} on spot."]
    groups: list[Group] = []
    for life in LIVES:
        costs = Costs(life, book, floor)
        run = pixfleet_run("pixfleet", pictures, panel, costs.request, floor)
        ours = bill(costs, run)
        bills = [ours, *(bill(costs, one) for one in tuned)]
        lines += table(life, bills, ours)
        lines += verdict(
            ours, {name: [bill(costs, one) for one in runs] for name, runs in held.items()}
        )
        bars = [
            Bar(one.run.name, dict(enumerate(one.parts.values())), f"{one.usd:,.2f}")
            for one in sorted(bills, key=lambda one: one.usd)
        ]
        groups.append(Group(f"{life}; $ a million pictures", bars))
    text = "\n".join(lines)
    print(text)
    if options.publish:
        chart = bars_chart("Cost over three lives at one floor", list(PARTS), groups)
        publish("lifetime", text, {"bench-lifetime": chart})


if __name__ == "__main__":
    main()
