"""Bytes under two floors: a poorer background against uniform coding by the same encoder.

    python bench/regions.py PHOTO_OR_FOLDER... [--floors 80/65 90/75 70/50] [--formats jpeg webp]

Each photograph is scaled to at most 1.3 MP and encoded by ``encode_variant`` under each pair of
floors. Both sides of a ratio keep both floors on all pixels of the final bytes: uniform coding at
the lowest quality that does, and what was taken in the end. Prints Markdown tables: geometric
means, and with --each every image. An image that uniform coding already gives up on (floor out of
reach, or fewer bytes without loss) is left out of the means and named.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pixfleet.workers.imaging.codec import load
from pixfleet.workers.imaging.encode import Encoded, EncodeRequest, Floors, encode_variant
from pixfleet.workers.imaging.jpeg import decode_jpeg
from pixfleet.workers.imaging.ssimulacra2 import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

MOST_PX = 1_300_000
FORMATS = ("jpeg", "webp", "avif", "jxl")


@dataclass(frozen=True)
class Row:
    """One photograph in one format under one pair of floors."""

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


def photographs(paths: Sequence[Path]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    files = [
        file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])
    ]
    for file in files:
        if file.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
            continue
        with Image.open(file) as opened:
            image = opened.convert("RGB")
        shrink = min(1.0, math.sqrt(MOST_PX / (image.width * image.height)))
        if shrink < 1:
            size = (round(image.width * shrink), round(image.height * shrink))
            image = image.resize(size, Image.Resampling.LANCZOS)
        yield file.name, np.asarray(image)


def measured(
    name: str, pixels: NDArray[np.uint8], formats: Sequence[str], floors: Floors
) -> Iterator[Row | str]:
    request = EncodeRequest(tuple(formats), "each", floors.salient, floors=floors)
    reference = Reference(pixels)
    for result in encode_variant(pixels, request):
        if not isinstance(result, Encoded):
            raise SystemExit(f"{name} {result.format}: {result.error}")
        told = result.floors
        assert told is not None
        if not result.reached or result.metric == "lossless":
            yield f"{name} {result.format}: {'; '.join(result.notes)}"
            continue
        decode = decode_jpeg if result.format == "jpeg" else load
        yield Row(
            photo=name,
            format=result.format,
            ratio=len(result.data) / told.uniform_bytes,
            salient=math.nan if told.salient_score is None else told.salient_score,
            background=math.nan if told.background_score is None else told.background_score,
            share=told.salient_share,
            worst_tile=told.worst_tile_score or math.nan,
            whole=reference.score(decode(result.data)),
            treatment=told.treatment,
            cpu_ms_mp=result.cpu_s * 1e9 / (pixels.shape[0] * pixels.shape[1]),
        )


def summary(floors: Floors, rows: Sequence[Row], formats: Sequence[str]) -> Iterator[str]:
    yield f"\n### Floors {floors.salient:g}/{floors.background:g}\n"
    yield (
        "| format | photographs | bytes against uniform | best, worst | treated | salient | "
        "background | whole | worst tile | CPU ms/MP |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name in formats:
        own = [row for row in rows if row.format == name]
        if not own:
            continue
        ratios = [row.ratio for row in own]
        mean = math.exp(float(np.mean(np.log(ratios))))
        yield (
            f"| {name} | {len(own)} | **{mean:.3f}** | {min(ratios):.3f}, {max(ratios):.3f} "
            f"| {sum(row.treatment != 'uniform' for row in own)} "
            f"| {min(row.salient for row in own):.2f} to {max(row.salient for row in own):.2f} "
            f"| {min(row.background for row in own):.2f} to "
            f"{max(row.background for row in own):.2f} "
            f"| {np.median([row.whole for row in own]):.1f} "
            f"| {np.nanmedian([row.worst_tile for row in own]):.1f} "
            f"| {np.median([row.cpu_ms_mp for row in own]):.0f} |"
        )


def each(rows: Sequence[Row]) -> Iterator[str]:
    yield "\n| photograph | format | salient share | ratio | salient | background | worst tile |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row.photo} | {row.format} | {row.share:.0%} | {row.ratio:.3f} "
            f"| {row.salient:.2f} | {row.background:.2f} | {row.worst_tile:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Bytes under two floors, by region.")
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("samples")])
    parser.add_argument("--floors", nargs="+", default=["80/65", "90/75", "70/50"])
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=FORMATS)
    parser.add_argument("--each", action="store_true", help="a row for every image, too")
    arguments = parser.parse_args()
    photos = list(photographs(arguments.paths))
    start_s = time.process_time()
    for pair in arguments.floors:
        salient, background = (float(part) for part in pair.split("/"))
        floors = Floors(salient, background)
        rows: list[Row] = []
        left_out: list[str] = []
        for name, pixels in photos:
            for row in measured(name, pixels, arguments.formats, floors):
                if isinstance(row, Row):
                    rows.append(row)
                else:
                    left_out.append(row)
            print(f"{pair} {name}", file=sys.stderr)
        lines = [*summary(floors, rows, arguments.formats), *(each(rows) if arguments.each else ())]
        print("\n".join(lines))
        if left_out:
            print("\nLeft out:\n\n" + "\n".join(f"- {line}" for line in left_out))
        sys.stdout.flush()
    print(f"\n{len(photos)} photographs, {time.process_time() - start_s:.0f} s of CPU.")


if __name__ == "__main__":
    main()
