"""Bytes under two floors: a poorer background against uniform coding by the same encoder.

    python bench/regions.py [PHOTO_OR_FOLDER…] [--floors 80/65 90/75 70/50] [--formats jpeg webp]
        [--each] [--publish]

Each photograph is scaled to at most 1.3 MP and encoded by ``encode_variant`` under each pair of
floors. Both sides of a ratio keep both floors on all pixels of the final bytes: uniform coding at
the lowest quality that does, and what was taken in the end. Prints Markdown tables: geometric
means, and with --each every photograph. One that uniform coding already gives up on (floor out of
reach, or fewer bytes without loss), or whose salient pixels are not 10 to 60% of all, is left out
of the means and named.

butteraugli and MS-SSIM, which drive nothing here, judge both sides twice: on the whole picture,
where the background is meant to be poorer, and with the original's background put in its place,
where nothing should be lost.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from charts.strips import Strip, strips_chart
from judges.panel import BUTTERAUGLI, MS_SSIM, SSIMULACRA2, Panel, decoded
from pixfleet.workers.imaging.candidate import Trial, attempt
from pixfleet.workers.imaging.codec import Metadata
from pixfleet.workers.imaging.efforts import efforts_of
from pixfleet.workers.imaging.encode import Encoded, EncodeRequest, Floors, encode_variant
from pixfleet.workers.imaging.floors import FloorOriginal
from publication import image, publish
from sets.masters import PAPER, masters

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from judges.panel import Judge
    from sets.masters import Master

FORMATS = ("jpeg", "webp", "avif", "jxl")
SHARES = (0.1, 0.6)
SECOND = (BUTTERAUGLI, MS_SSIM)


@dataclass(frozen=True)
class Row:
    """One photograph in one format under one pair of floors.

    Attributes:
        judged: by judge, of the salient region and of the whole picture, uniform and as taken.
    """

    photo: str
    format: str
    ratio: float
    salient: float
    background: float
    share: float
    worst_tile: float
    whole: float
    treatment: str
    cpu_ms_mp: float
    judged: dict[str, tuple[float, float, float, float]]

    @property
    def counts(self) -> bool:
        """The salient pixels are neither few nor most."""
        return SHARES[0] <= self.share <= SHARES[1]


def measured(
    photo: Master, formats: Sequence[str], floors: Floors, panel: Panel
) -> Iterator[Row | str]:
    for name in formats:
        # Each on its own, since a search that learned from another format may end elsewhere.
        request = EncodeRequest((name,), "each", floors.salient, floors=floors)
        result = encode_variant(photo.pixels, request)[0]
        if not isinstance(result, Encoded):
            raise SystemExit(f"{photo.name} {name}: {result.error}")
        told = result.floors
        assert told is not None
        if not result.reached or result.metric == "lossless":
            yield f"{photo.name} {result.format}: {'; '.join(result.notes)}"
            continue
        effort = efforts_of(name)[0]
        trial = Trial(request.target, request.max_probes, effort, Metadata())
        original = FloorOriginal(photo.pixels, PAPER, floors)
        uniform = attempt(original, name, trial).data
        assert len(uniform) == told.uniform_bytes
        yield Row(
            photo=photo.name,
            format=result.format,
            ratio=len(result.data) / told.uniform_bytes,
            salient=math.nan if told.salient_score is None else told.salient_score,
            background=math.nan if told.background_score is None else told.background_score,
            share=told.salient_share,
            worst_tile=told.worst_tile_score or math.nan,
            whole=panel.value(SSIMULACRA2, photo, decoded(result.data)),
            treatment=told.treatment,
            cpu_ms_mp=result.cpu_s * 1e3 / photo.megapixels,
            judged={
                judge.name: judged(judge, photo, original, (uniform, result.data), panel)
                for judge in SECOND
            },
        )


def judged(
    judge: Judge, photo: Master, original: FloorOriginal, files: tuple[bytes, bytes], panel: Panel
) -> tuple[float, float, float, float]:
    salient = original.region[..., None]
    whole = [decoded(data) for data in files]
    parts = [np.where(salient, picture, photo.flat) for picture in whole]
    of_part, of_part_taken, of_whole, of_whole_taken = (
        panel.value(judge, photo, picture) for picture in (*parts, *whole)
    )
    return of_part, of_part_taken, of_whole, of_whole_taken


def own(rows: Sequence[Row], name: str) -> list[Row]:
    return [row for row in rows if row.format == name and row.counts]


def mean_ratio(rows: Sequence[Row]) -> float:
    return math.exp(float(np.mean([math.log(row.ratio) for row in rows])))


def summary(rows: Sequence[Row], formats: Sequence[str]) -> Iterator[str]:
    yield (
        "| format | photographs | bytes against uniform | best, worst | treated | salient | "
        "background | whole | worst tile | CPU ms/MP |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name in formats:
        if not (found := own(rows, name)):
            continue
        ratios = [row.ratio for row in found]
        salient = [row.salient for row in found]
        background = [row.background for row in found]
        yield (
            f"| {name} | {len(found)} | **{mean_ratio(found):.3f}** "
            f"| {min(ratios):.3f}, {max(ratios):.3f} "
            f"| {sum(row.treatment != 'uniform' for row in found)} "
            f"| {min(salient):.2f} to {max(salient):.2f} "
            f"| {min(background):.2f} to {max(background):.2f} "
            f"| {np.median([row.whole for row in found]):.1f} "
            f"| {np.nanmedian([row.worst_tile for row in found]):.1f} "
            f"| {np.median([row.cpu_ms_mp for row in found]):.0f} |"
        )


def by_other_judges(rows: Sequence[Row], formats: Sequence[str]) -> Iterator[str]:
    """Means and worst: of the salient region, then of the whole picture."""
    yield "| format | judge | salient: uniform | as taken | whole: uniform | as taken |"
    yield "|---|---|--:|--:|--:|--:|"
    for name in formats:
        for judge in SECOND:
            found = own(rows, name)
            if not found:
                continue
            values = np.array([row.judged[judge.name] for row in found])
            said = " | ".join(judge.told(column.tolist()) for column in values.T)
            yield f"| {name} | {judge.name} | {said} |"


def each(rows: Sequence[Row]) -> Iterator[str]:
    yield "\n| photograph | format | salient share | ratio | salient | background | worst tile |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row.photo} | {row.format} | {row.share:.0%} | {row.ratio:.3f} "
            f"| {row.salient:.2f} | {row.background:.2f} | {row.worst_tile:.1f} |"
        )


def chart(title: str, rows: Sequence[Row], formats: Sequence[str]) -> str:
    strips = [
        Strip(name, {row.photo: 1 - row.ratio for row in found}, 1 - mean_ratio(found))
        for name in formats
        if (found := own(rows, name))
    ]
    return strips_chart(title, strips, "fewer bytes than uniform coding, each photograph")


def main() -> None:
    parser = argparse.ArgumentParser(description="Bytes under two floors, by region.")
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("samples")])
    parser.add_argument("--floors", nargs="+", default=["80/65", "90/75", "70/50"])
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=FORMATS)
    parser.add_argument("--each", action="store_true", help="a row for every photograph, too")
    parser.add_argument("--publish", action="store_true", help="write the results into docs/")
    arguments = parser.parse_args()

    cv2.setNumThreads(1)
    photos, panel = list(masters(arguments.paths)), Panel()
    start_s = time.process_time()
    lines: list[str] = []
    charts: dict[str, str] = {}
    for pair in arguments.floors:
        salient, background = (float(part) for part in pair.split("/"))
        rows: list[Row] = []
        left_out: list[str] = []
        for photo in photos:
            for row in measured(photo, arguments.formats, Floors(salient, background), panel):
                if isinstance(row, str):
                    left_out.append(row)
                    continue
                rows.append(row)
                if not row.counts:
                    left_out.append(f"{row.photo} {row.format}: {row.share:.0%} salient")
            print(f"{pair} {photo.name}", file=sys.stderr)
        name = f"bench-regions-{pair.replace('/', '-')}"
        charts[name] = chart(f"Floors {pair}", rows, arguments.formats)
        lines += [f"\n### Floors {pair}\n", image(name, "Savings by photograph"), ""]
        lines += [*summary(rows, arguments.formats), ""]
        lines += by_other_judges(rows, arguments.formats)
        lines += each(rows) if arguments.each else ()
        lines += ["\nLeft out:\n", *(f"- {line}" for line in left_out)] if left_out else ()
    cpu_s = time.process_time() - start_s
    lines.append(f"\n{len(photos)} photographs, {cpu_s:.0f} s of CPU, butteraugli not counted.")
    text = "\n".join(lines)
    print(text)
    if arguments.publish:
        publish("regions", text, charts)


if __name__ == "__main__":
    main()
