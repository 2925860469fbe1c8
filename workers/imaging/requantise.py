"""JPEG coefficients requantised block by block: fewer bits for the background, no new encode."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from .codec import refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

jpeglib: Any = None
with suppress(ImportError):  # no wheel for this platform
    import jpeglib

DEAD_ZONE: Final = 0.42
"""What is added before rounding down: below 0.5, so that the smallest multiples fall to zero."""

_FREQUENCY: Final = np.add.outer(np.arange(8), np.arange(8))
_SHARE: Final = np.where(_FREQUENCY == 0, 0.0, np.where(_FREQUENCY == 1, 0.5, 1.0)).astype(
    np.float32
)
_LEAST_FACTOR: Final = 1.05


class Coefficients:
    """The quantised coefficients of one JPEG, read once for any number of treatments.

    Args:
        data: a whole JPEG of one or three components, our own output.

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
        self._planes = {
            name: np.array(plane)
            for name in ("Y", "Cb", "Cr")
            if (plane := getattr(self._jpeg, name)) is not None
        }
        self._size = (self._jpeg.width, self._jpeg.height)

    def requantised(self, depth: Plane, factor: float) -> bytes:
        """The JPEG with AC coefficients rounded to multiples, ``factor`` where ``depth`` is 1.

        A block's factor is that of its least deep pixel, so that no block that touches the region
        (depth 0) is changed; it grows smoothly with depth. The first diagonal (the slowest waves)
        gets half of the excess over 1, the DC coefficient none. Rounding has a dead zone.
        """
        for name, plane in self._planes.items():
            setattr(self._jpeg, name, self._rounded(plane, depth, factor))
        try:
            with tempfile.TemporaryDirectory(prefix="pixfleet-") as folder:
                path = Path(folder) / "out.jpg"
                self._jpeg.write_dct(str(path))
                return path.read_bytes()
        except (OSError, ValueError, RuntimeError) as error:
            raise refused("jpeglib", error) from error

    def _rounded(self, plane: NDArray[np.int16], depth: Plane, factor: float) -> NDArray[np.int16]:
        rows, columns = plane.shape[:2]
        shallowest = self._by_block(depth, rows, columns)
        excess = (factor - 1.0) * shallowest
        rounded = plane.copy()
        at = excess > _LEAST_FACTOR - 1.0
        steps = 1.0 + excess[at][:, None, None] * _SHARE
        values = plane[at].astype(np.float32)
        levels = np.floor(np.abs(values) / steps + DEAD_ZONE)
        treated = np.rint(levels * steps) * np.sign(values)
        rounded[at] = np.where(_SHARE > 0, treated, values).astype(np.int16)
        return rounded

    def _by_block(self, depth: Plane, rows: int, columns: int) -> Plane:
        width, height = self._size
        luma_rows, luma_columns = self._planes["Y"].shape[:2]
        down = 8 * max(1, round(luma_rows / rows))
        across = 8 * max(1, round(luma_columns / columns))
        padded: Any = cv2.copyMakeBorder(
            depth,
            0,
            max(0, rows * down - height),
            0,
            max(0, columns * across - width),
            cv2.BORDER_REPLICATE,
        )
        blocks = padded[: rows * down, : columns * across]
        return blocks.reshape(rows, down, columns, across).min(axis=(1, 3))
