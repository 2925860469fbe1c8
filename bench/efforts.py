"""Measure the effort curves (workers/imaging/efforts.py): CPU and bytes of every encoder's efforts.

    python bench/efforts.py [FOLDER…] [--formats avif webp]

The middle 640 × 512 px of each image. Bytes are at equal SSIMULACRA2 60 to 85, interpolated between
six qualities, as a geometric mean against the least effort; CPU is of a probe: encode, decode and
score.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from pixfleet.workers.imaging.codec import Metadata
from pixfleet.workers.imaging.codecs import lossy_codecs
from pixfleet.workers.imaging.efforts import efforts_of
from pixfleet.workers.imaging.ssimulacra2 import Reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pixfleet.workers.imaging.codec import Codec

SCORES = (60.0, 65.0, 70.0, 75.0, 80.0, 85.0)
TARGET = 75.0
WIDTH_PX, HEIGHT_PX = 640, 512
PROBES = 6


def crops(folders: list[Path]) -> list[NDArray[np.uint8]]:
    found: list[NDArray[np.uint8]] = []
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        if path.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
            continue
        with Image.open(path) as image:
            left, top = (image.width - WIDTH_PX) // 2, (image.height - HEIGHT_PX) // 2
            box = (max(0, left), max(0, top), left + WIDTH_PX, top + HEIGHT_PX)
            found.append(np.asarray(image.convert("RGB").crop(box)))
    return found


def curve(codec: Codec, pixels: NDArray[np.uint8], reference: Reference) -> tuple[Any, float]:
    """Logarithms of the bytes at ``SCORES``, and CPU seconds a megapixel of a probe."""
    steps = codec.scale.qualities
    start_s = time.process_time()
    points = [
        (reference.score(codec.decode(data)), np.log(len(codec.finish(data, Metadata()))))
        for at in np.linspace(0.4, 0.93, PROBES)
        for data in [codec.encode(pixels, steps[round(at * (len(steps) - 1))], Metadata())]
    ]
    cpu_s = (time.process_time() - start_s) / PROBES
    scores, sizes = zip(*sorted(points), strict=True)
    at_scores = np.interp(SCORES, scores, sizes, left=np.nan, right=np.nan)
    return at_scores, cpu_s / (pixels.shape[0] * pixels.shape[1] / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the effort curves.")
    parser.add_argument("folders", nargs="*", type=Path, default=[Path("samples")])
    parser.add_argument("--formats", nargs="+", default=["jpeg", "webp", "avif", "jxl", "heic"])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    masters = [(pixels, Reference(pixels)) for pixels in crops(options.folders)]
    print("| format | effort | CPU s/MP of a probe | bytes |\n|---|--:|--:|--:|")
    for name in options.formats:
        least: Any = None
        for effort in efforts_of(name):
            codec = lossy_codecs(name, effort, TARGET)[0]
            measured = [curve(codec, pixels, reference) for pixels, reference in masters]
            sizes = np.array([size for size, _ in measured])
            least = sizes if least is None else least
            share = float(np.exp(np.nanmean(sizes - least)))
            cpu_s = float(np.median([cpu_s for _, cpu_s in measured]))
            print(f"| {name} | {effort} | {cpu_s:.3f} | {share:.3f} |", flush=True)


if __name__ == "__main__":
    main()
