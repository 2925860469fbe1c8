"""Bytes at equal 10th-percentile quality, against peers run for real, before three judges.

    python bench/encode.py [FOLDER…] [--graphics] [--sharp-dir bench/peers] [--guetzli 3]
        [--publish]

Each picture is scaled to at most 1.3 MP. Every peer encodes a set at its own default quality; the
10th percentile of its SSIMULACRA2 scores is the promise that pixfleet has to match: its target is
moved until both percentiles agree within 0.05, or as nearly as six runs allow. Then the bytes of
the set are compared, as the geometric mean over pictures and as a sum.

SSIMULACRA2 drives pixfleet's search, so two others judge the same files: butteraugli's own program
and MS-SSIM on luma. How much smaller pixfleet is where *they* call both sets equal is interpolated
between runs at several targets. "Tail" is what a tenth of the pictures is worse than.

The folders are one set, the photographs; --graphics draws another (see sets/graphics.py).
--guetzli takes the smallest photographs only, at half a minute a megapixel. --publish writes the
tables and the chart into docs/. Peers in node: ``npm install --prefix bench/peers sharp``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from charts.bars import Bar, Group, bars_chart
from contest.matching import Ladder, Row
from contest.runs import peer_run, pixfleet_run
from contest.tables import at_equal_quality, by_other_judges, disagreements
from contest.unit_costs import unit_costs
from judges.panel import Panel
from peers.guetzli import Guetzli
from peers.sharp import SHARP_DIR
from peers.table import peers
from pixfleet.workers.imaging.encode import EncodeRequest, Goal, codec_versions
from publication import image, publish
from sets.graphics import draw
from sets.masters import Master, masters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from contest.runs import Run
    from peers.peer import Peer

    Way = Callable[[float], EncodeRequest]


ALL = ("jpeg", "webp", "avif", "jxl", "png")
# sharp's AVIF takes some 4 CPU seconds a megapixel: a fifth of that, and all of it.
FIFTH, ALIKE = 0.8, 4.0
WEB = 1.5


def ways() -> dict[str, Way]:
    """Pixfleet's requests by target: single formats at least effort, and with efforts chosen."""

    def fewest(formats: tuple[str, ...], cpu_s_per_mp: float) -> Way:
        goal = Goal(0.0, 1.0, max_cpu_s_per_mp=cpu_s_per_mp)
        return partial(EncodeRequest, formats, "best", goal=goal)

    return {
        **{name: fewest((name,), 0.0) for name in ("jpeg", "webp", "avif")},
        "avif, 1.5 s/MP": fewest(("avif",), WEB),
        "smallest, 0.8 s/MP": fewest(ALL, FIFTH),
        "smallest, 4 s/MP": fewest(ALL, ALIKE),
    }


def answers(way: str, peer: Run) -> bool:
    """Whether who uses the peer could want this way instead."""
    if way in {"jpeg", "webp"}:
        return way == peer.formats[0]
    return way != "smallest, 4 s/MP" or peer.cpu_ms_per_mp > 1e3 * FIFTH


def rows(contenders: Sequence[Peer], pictures: Sequence[Master], panel: Panel) -> Iterator[Row]:
    ladders = {
        name: Ladder(partial(pixfleet_run, name, pictures, panel, way))
        for name, way in ways().items()
    }
    for peer in contenders:
        run = peer_run(peer, pictures, panel, peer.quality)
        for name, ladder in ladders.items():
            if answers(name, run):
                row = Row(run, ladder.matched(run.p10), ladder)
                print(f"{run.name} / {name}: {row.smaller:.1%}", file=sys.stderr)
                yield row


def section(title: str, pictures: Sequence[Master], found: Sequence[Row]) -> Iterator[str]:
    megapixels = sum(picture.megapixels for picture in pictures)
    yield f"\n### {title}\n"
    yield f"{len(pictures)} pictures, {megapixels:.1f} MP.\n"
    yield from at_equal_quality(found)
    yield "\nThe same files before the other judges:\n"
    yield from by_other_judges(found)
    denied = list(disagreements(found))
    yield "\nWhere the judges disagree:\n" if denied else "\nThe judges agree on every row.\n"
    yield from denied


def chart(title: str, found: Sequence[Row]) -> str:
    names = list(dict.fromkeys(row.ours.name for row in found))
    groups: list[Group] = []
    for peer in dict.fromkeys(row.peer.name for row in found):
        bars = [
            Bar(
                label=row.ours.name,
                parts={names.index(row.ours.name): 1 - row.smaller},
                note=f"{-row.smaller:+.0%}".replace("-", "−"),
            )
            for row in found
            if row.peer.name == peer
        ]
        groups.append(Group(f"against {peer}", bars))
    return bars_chart(title, [], groups, (1.0, "the peer"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Bytes at equal quality, against peers.")
    parser.add_argument("folders", nargs="*", type=Path, default=[Path("samples")])
    parser.add_argument("--graphics", action="store_true", help="draw a set of graphics, too")
    parser.add_argument("--sharp-dir", type=Path, default=SHARP_DIR, help="with node_modules")
    parser.add_argument("--guetzli", type=int, default=0, help="on so many photographs")
    parser.add_argument("--publish", action="store_true", help="write the results into docs/")
    options = parser.parse_args()

    cv2.setNumThreads(1)
    panel = Panel()
    contenders = peers(options.sharp_dir)
    photographs = list(masters(options.folders))
    lines = [f"{'; '.join(codec_versions().values())}."]
    charts: dict[str, str] = {}
    sets = {"Photographs": photographs}
    if options.graphics:
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder))
            sets["Graphics"] = list(masters([Path(folder)]))
    for title, pictures in sets.items():
        found = list(rows(contenders, pictures, panel))
        lines += section(title, pictures, found)
        name = f"bench-{title.lower()}"
        charts[name] = chart(f"{title}: bytes at an equal 10th percentile of SSIMULACRA2", found)
        lines += ["", image(name, f"Bytes of the {title.lower()} against each peer")]
    if options.guetzli:
        few = sorted(photographs, key=lambda picture: picture.megapixels)[: options.guetzli]
        found = list(rows([Guetzli()], few, panel))
        lines += section("guetzli, on the smallest photographs", few, found)
    lines += ["", unit_costs(photographs)]
    text = "\n".join(lines)
    print(text)
    if options.publish:
        publish("encode", text, charts)


if __name__ == "__main__":
    main()
