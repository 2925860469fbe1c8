"""Fit an encoder's quality scale (workers/imaging/quality_scales.py) on photographs.

    python bench/scales.py avif:9 FOLDER… [--sides 512]
    python bench/scales.py avif:9/1 FOLDER…     its encoder for full chroma

Each image is scaled to at most 1280, 512 and 256 px and encoded at a dozen qualities. Printed are
the typical distortion at each quality, the weights that predict an image's own, and the median
absolute error of that prediction on images left out of the fit (logarithms).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from pixfleet.workers.imaging.codec import Metadata
from pixfleet.workers.imaging.codecs import lossy_codecs
from pixfleet.workers.imaging.efforts import efforts_of
from pixfleet.workers.imaging.ssimulacra2 import Reference
from pixfleet.workers.imaging.texture import texture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pixfleet.workers.imaging.codec import Codec

SIDES_PX = [1280, 512, 256]
POINTS = 12
FITTED = (55.0, 92.0)
FOLDS = 5


def codec_of(name: str) -> Codec:
    """The first (or, after a slash, another) encoder of FORMAT:EFFORT."""
    wanted, _, which = name.partition("/")
    format_name, _, effort = wanted.partition(":")
    codecs = lossy_codecs(format_name, int(effort or efforts_of(format_name)[0]), target=75)
    return codecs[int(which or 0)]


def masters(folders: list[Path], sides_px: list[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(which image, pixels), each image at several sizes."""
    paths = [path for folder in folders for path in sorted(folder.iterdir())]
    for number, path in enumerate(paths):
        if path.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
            continue
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        for side in sides_px:
            if side <= max(image.size) or side == sides_px[0]:
                sized = image.copy()
                sized.thumbnail((side, side), Image.Resampling.LANCZOS)
                yield number, np.asarray(sized)


def huber(rows: NDArray[Any], wanted: NDArray[Any], delta: float = 0.1) -> NDArray[Any]:
    weights = np.ones(len(wanted))
    fit = np.zeros(rows.shape[1])
    ridge = 1e-3 * len(wanted) * np.eye(rows.shape[1])
    for _ in range(30):
        weighted = rows * weights[:, None]
        fit = np.linalg.solve(rows.T @ weighted + ridge, weighted.T @ wanted)
        off = np.abs(wanted - rows @ fit)
        weights = np.minimum(1.0, delta / np.maximum(off, 1e-9))
    return fit


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit an encoder's quality scale.")
    parser.add_argument("codec")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--sides", nargs="+", type=int, default=SIDES_PX)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    codec = codec_of(options.codec)
    steps = codec.scale.qualities
    qualities = [steps[round(at)] for at in np.linspace(2, len(steps) - 1, POINTS)]
    images: list[int] = []
    textures: list[tuple[float, ...]] = []
    scores: list[list[float]] = []
    for number, pixels in masters(options.folders, options.sides):
        reference = Reference(pixels)
        images.append(number)
        textures.append(texture(pixels))
        scores.append(
            [
                reference.score(codec.decode(codec.encode(pixels, quality, Metadata())))
                for quality in qualities
            ]
        )
        print(f"\r{len(images)}", end="", file=sys.stderr)
    distortions = 100.0 - np.array(scores)
    typical = np.median(distortions, axis=0)
    excess = np.log(np.maximum(distortions, 0.5)) - np.log(typical)
    within = (100.0 - distortions >= FITTED[0]) & (100.0 - distortions <= FITTED[1])
    at, _ = np.nonzero(within)
    rows, wanted, groups = np.array(textures)[at], excess[within], np.array(images)[at]
    errors: list[NDArray[Any]] = []
    for fold in range(FOLDS):
        left_out = groups % FOLDS == fold
        fit = huber(rows[~left_out], wanted[~left_out])
        errors.append(np.abs(wanted[left_out] - rows[left_out] @ fit))
    error = float(np.median(np.concatenate(errors)))
    print(f"\n# {codec.encoder}: typical error {error:.2f}")
    points = ", ".join(f"({q:g}, {d:.2f})" for q, d in zip(qualities, typical, strict=True))
    print(f"typical=({points}),")
    print(f"predictor=({', '.join(f'{weight:.4f}' for weight in huber(rows, wanted))}),")


if __name__ == "__main__":
    main()
