"""JPEG coefficients requantised block by block: fewer bits for the background, in one bitstream."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from .codec import refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]
    Levels = NDArray[np.int16]

jpeglib: Any = None
with suppress(ImportError):  # no wheel for this platform
    import jpeglib

_DIAGONAL: Final = np.add.outer(np.arange(8), np.arange(8))
_BEYOND: Final = np.maximum(0, _DIAGONAL - 2) / 12
# Of the excess over 1 of a block's factor: none for DC, a little for the slowest waves, all for the
# next, rising to twice that for the finest. The slowest waves are what a smooth sky is made of:
# coarser, they turn it into tiles, which an eye sees before the score does.
_FINER: Final = 1.0 + _BEYOND
_LUMA_SHARE: Final = np.select([_DIAGONAL == 0, _DIAGONAL == 1], [0.0, 0.35], _FINER)
_CHROMA_SHARE: Final = np.where(_DIAGONAL <= 1, 0.0, _FINER)
_SMOOTH: Final = 0.7
"""Of the excess, in a block without any wave beyond the second diagonal, for the same reason."""
# Added before rounding down: below one half, so that the least levels fall to zero, the finest
# waves' sooner. Measured: .42 to .45 and less for fine waves took the fewest bytes at equal scores.
_ROUNDING: Final = (0.42 - 0.15 * _BEYOND).astype(np.float32)
_LEAST_EXCESS: Final = 0.05


def requantiser() -> str:
    """The library that requantises, and its version; "none" where there is none."""
    return f"jpeglib {version('jpeglib')}" if jpeglib else "none"


class Coefficients:
    """The quantised coefficients of one JPEG of our own, read once.

    Args:
        data: a whole JPEG of one or three components.

    Raises:
        EncodeError: ``encoder_failed``.
    """

    def __init__(self, data: bytes) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="pixfleet-") as folder:
                path = Path(folder) / "in.jpg"
                path.write_bytes(data)
                self._jpeg = jpeglib.read_dct(str(path))
                self._jpeg.load()
        except (OSError, ValueError, RuntimeError) as error:
            raise refused("jpeglib", error) from error
        self.width, self.height = int(self._jpeg.width), int(self._jpeg.height)
        self.planes: dict[str, Levels] = {
            name: np.array(plane)
            for name in ("Y", "Cb", "Cr")
            if (plane := getattr(self._jpeg, name)) is not None
        }

    @cached_property
    def steps(self) -> dict[str, Plane]:
        """The (8, 8) quantiser steps of each plane."""
        tables = self._jpeg.quant_tbl_no
        return {
            name: np.asarray(self._jpeg.qt[tables[at]], np.float32)
            for at, name in enumerate(self.planes)
        }

    def written(self, planes: dict[str, Levels]) -> bytes:
        """The JPEG with other levels in place of its own.

        Raises:
            EncodeError: ``encoder_failed``.
        """
        for name, plane in planes.items():
            setattr(self._jpeg, name, plane)
        try:
            with tempfile.TemporaryDirectory(prefix="pixfleet-") as folder:
                path = Path(folder) / "out.jpg"
                self._jpeg.write_dct(str(path))
                return path.read_bytes()
        except (OSError, ValueError, RuntimeError) as error:
            raise refused("jpeglib", error) from error


def requantised(coded: Coefficients, finest: Coefficients, depth: Plane, factor: float) -> bytes:
    """``coded`` with the AC coefficients of its background in coarser steps.

    Each becomes a multiple of its quantiser step, about ``factor`` steps apart where ``depth`` is
    1, less for slow waves and where depth is less. A block's depth is that of its least deep pixel,
    so that no block that touches the region (depth 0) changes and the strength grows block by
    block. What is rounded is ``finest``'s coefficient, not ``coded``'s, which was rounded once
    already; what ``coded`` has at zero stays there.

    Args:
        coded: at the quality that the region needs.
        finest: the same pixels at the encoder's highest quality.
        depth: (H, W) of 0 to 1, as ``regions.depth`` gives it.
        factor: at least 1.

    Raises:
        EncodeError: ``encoder_failed``.
    """
    planes: dict[str, Levels] = {}
    luma = coded.planes["Y"].shape
    for name, plane in coded.planes.items():
        excess = (factor - 1.0) * _by_block(depth, plane.shape, luma)
        at = excess > _LEAST_EXCESS
        own = plane[at]
        share = _LUMA_SHARE if name == "Y" else _CHROMA_SHARE
        textured = ((own != 0) & (_DIAGONAL > 2)).any(axis=(1, 2))
        strength = excess[at] * np.where(textured, 1.0, _SMOOTH)
        exact = finest.planes[name][at] * (finest.steps[name] / coded.steps[name])
        spacing = 1.0 + strength[:, None, None] * share
        levels = np.rint(np.floor(np.abs(exact) / spacing + _ROUNDING) * spacing)
        coarse = np.where(own == 0, 0.0, np.copysign(levels, exact))
        planes[name] = plane.copy()
        planes[name][at] = np.where(share > 0, coarse, own).astype(np.int16)
    return coded.written(planes)


def _by_block(depth: Plane, shape: tuple[int, ...], luma: tuple[int, ...]) -> Plane:
    """The least depth of each block's pixels; a chroma block spans one, two or four of luma's."""
    rows, columns = shape[:2]
    down, across = 8 * max(1, round(luma[0] / rows)), 8 * max(1, round(luma[1] / columns))
    height, width = depth.shape
    bottom, right = max(0, rows * down - height), max(0, columns * across - width)
    whole: Any = cv2.copyMakeBorder(depth, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    blocks = whole[: rows * down, : columns * across].reshape(rows, down, columns, across)
    return blocks.min(axis=(1, 3))
