"""Masters: the pictures that every contender encodes and every judge compares with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from pixfleet.workers.imaging.original import flattened
from pixfleet.workers.imaging.ssimulacra2 import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

MOST_PX: Final = 1_300_000
SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"})
PAPER: Final = (255, 255, 255)
"""What lies under alpha where a format has none, and wherever pictures are compared."""


@dataclass(frozen=True)
class Master:
    """One picture.

    Attributes:
        name: of its file, without the suffix.
        pixels: (H, W, 3) sRGB or (H, W, 4) straight-alpha sRGB, uint8.
    """

    name: str
    pixels: Pixels

    @property
    def megapixels(self) -> float:
        """Of the pixels."""
        return self.pixels.shape[0] * self.pixels.shape[1] / 1e6

    @cached_property
    def flat(self) -> Pixels:
        """(H, W, 3): on ``PAPER`` where there is alpha."""
        return np.ascontiguousarray(flattened(self.pixels, PAPER))

    @cached_property
    def reference(self) -> Reference:
        """SSIMULACRA2's, of the flat pixels."""
        return Reference(self.flat)


def masters(paths: Iterable[Path], most_px: int = MOST_PX) -> Iterator[Master]:
    """The pictures of folders (by name) and single files, each scaled to at most ``most_px``."""
    for path in paths:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if file.suffix.lower() in SUFFIXES:
                yield Master(file.stem, _pixels(file, most_px))


def _pixels(file: Path, most_px: int) -> Pixels:
    with Image.open(file) as opened:
        image = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    share = (most_px / (image.width * image.height)) ** 0.5
    if share < 1:
        size = (round(image.width * share), round(image.height * share))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(image)
