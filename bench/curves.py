"""Rate and distortion: bytes a pixel against three judges' scores, for every encoder.

    python bench/curves.py [FOLDER…] [--sharp-dir bench/peers] [--most-mp 0.4] [--publish]

Every encoder runs at fixed qualities over all pictures. A curve's point is a quality: the geometric
mean of the bytes a pixel, and the mean of what the judge says. The qualities are the encoders' own,
with no search, so these are the encoders that pixfleet chooses among and the peers'.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from charts.curves import Panel as Chart
from charts.curves import curves_chart
from contest.runs import peer_run
from contest.unit_costs import least_effort
from judges.panel import BUTTERAUGLI, MS_SSIM, SSIMULACRA2, Panel
from peers.peer import Batch
from peers.pillow import PillowJpeg
from peers.sharp import SHARP_DIR, Sharp, version
from peers.table import IMGPROXY_AVIF
from pixfleet.workers.imaging.codec import Metadata
from publication import publish
from sets.masters import masters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contest.runs import Run
    from peers.peer import Peer
    from pixfleet.workers.imaging.codec import Codec
    from sets.masters import Master

STEPS = {
    SSIMULACRA2: (50.0, 60.0, 70.0, 80.0, 90.0),
    BUTTERAUGLI: (6.0, 5.0, 4.0, 3.0, 2.0, 1.0),
    MS_SSIM: (16.0, 20.0, 24.0, 28.0, 32.0),
}
QUALITIES = {
    "jpeg": (30, 45, 60, 70, 80, 87, 93),
    "webp": (20, 40, 60, 72, 82, 90, 96),
    "avif": (34, 44, 54, 62, 70, 78, 86),
    "jxl": (40, 55, 65, 75, 82, 88, 93),
}


@dataclass(frozen=True, slots=True)
class Plain:
    """One of pixfleet's encoders without its search."""

    name: str
    codec: Codec
    quality: int = 75

    @property
    def format(self) -> str:
        """As in ``Peer``."""
        return self.codec.format

    def encode(self, masters: Sequence[Master], quality: int) -> Batch:
        """As in ``Peer``."""
        files: list[bytes] = []
        cpu_s: list[float] = []
        for master in masters:
            start_s = time.process_time()
            data = self.codec.encode(master.flat, quality, Metadata())
            files.append(self.codec.finish(data, Metadata()))
            cpu_s.append(time.process_time() - start_s)
        return Batch(tuple(files), tuple(cpu_s))


def encoders(sharp_dir: Path) -> list[Peer]:
    found: list[Peer] = [
        *(Plain(f"pixfleet's {name}", least_effort(name)) for name in QUALITIES),
        PillowJpeg("Pillow JPEG", {"optimize": True, "progressive": True}),
    ]
    if version(sharp_dir):
        found += [
            Sharp("imgproxy-like AVIF", "avif", 63, IMGPROXY_AVIF, sharp_dir),
            Sharp("sharp AVIF", "avif", 50, {}, sharp_dir),
        ]
    return found


def bytes_per_px(run: Run) -> float:
    pixels = [1e6 * master.megapixels for master in run.masters]
    return float(np.exp(np.log(np.divide(run.sizes, pixels)).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description="Rate-distortion curves of the encoders.")
    parser.add_argument("folders", nargs="*", type=Path, default=[Path("samples")])
    parser.add_argument("--sharp-dir", type=Path, default=SHARP_DIR, help="with node_modules")
    parser.add_argument("--most-mp", type=float, default=0.4)
    parser.add_argument("--publish", action="store_true", help="write the results into docs/")
    options = parser.parse_args()

    cv2.setNumThreads(1)
    panel = Panel()
    pictures = list(masters(options.folders, round(options.most_mp * 1e6)))
    lines = [
        f"<details><summary>{len(pictures)} pictures of at most {options.most_mp:g} MP</summary>",
        "",
        "| encoder | quality | bytes a pixel | SSIMULACRA2 | butteraugli | MS-SSIM dB | ms/MP |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    curves = {judge: dict[str, list[tuple[float, float]]]() for judge in STEPS}
    contenders = encoders(options.sharp_dir)
    for encoder in contenders:
        for quality in QUALITIES[encoder.format]:
            run = peer_run(encoder, pictures, panel, quality)
            for judge, found in curves.items():
                found.setdefault(encoder.name, []).append((bytes_per_px(run), run.mean(judge)))
            said = " | ".join(f"{run.mean(judge):.2f}" for judge in STEPS)
            lines.append(
                f"| {encoder.name} | {quality} | {bytes_per_px(run):.4f} | {said} "
                f"| {run.cpu_ms_per_mp:.0f} |"
            )
        print(encoder.name, file=sys.stderr)
    text = "\n".join([*lines, "", "</details>"])
    print(text)
    if options.publish:
        charts = [
            Chart(judge.name, steps, curves[judge])
            for judge, steps in STEPS.items()
            if not any(np.isnan(y) for curve in curves[judge].values() for _, y in curve)
        ]
        peers_of_sharp = {one.name for one in contenders if isinstance(one, (Sharp, PillowJpeg))}
        chart = curves_chart("Bytes a pixel against three judges", charts, peers_of_sharp)
        publish("curves", text, {"bench-curves": chart})


if __name__ == "__main__":
    main()
