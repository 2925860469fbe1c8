"""A picture without the faint waves of its background: what no encoder then has to spell out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Plane = NDArray[np.float32]

# Of a wave's level, by how fine it is: hardly any for the slowest, which are what a smooth sky and
# the flanks of edges are made of. Taking them, too, saves more by SSIMULACRA2, but leaves mosaics.
_SLOW: Final = 3.0
_FINER: Final = 1.0
_CHROMA: Final = 0.4
_BOLD: Final = 40.0
"""A wave above this level stays whatever the strength: edges would turn into stairs."""
_TAKEN: Final = 0.7
"""Of a faint wave: the rest lies below what the encoder codes, and softens the blocks' borders."""
STRONGEST: Final = 120.0
"""From this level on faint waves are taken whole, and hardly more of them than before."""
_GROWTH: Final = 0.6
_PADDED_PX: Final = 16
_LUMA: Final = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


class FaintWaves:
    """The DCT of a picture in blocks, and the picture less the waves that are faint.

    An encoder that predicts and transforms blocks spends its bits on waves above its dead zone.
    Those of the background that are below a level are taken out beforehand, on the encoder's own
    grid of blocks: what is left of the block costs less at the very quality that the region needs.
    A block's level grows with the least depth of its pixels (``depth ** 0.6``), so that blocks
    that touch the region keep every pixel.

    Args:
        pixels: (H, W, 3 or more) sRGB uint8; alpha is passed through.
        depth: (H, W) of 0 in the region to 1 deep in the background.
        side_px: of a block, 4 or 8: the encoder's usual transform. Chroma is taken at half size.
    """

    def __init__(self, pixels: Pixels, depth: Plane, side_px: int) -> None:
        self._pixels = pixels
        self._side = side_px
        self._basis = _basis(side_px)
        height, width = depth.shape
        margin = (0, -height % _PADDED_PX, 0, -width % _PADDED_PX, cv2.BORDER_REPLICATE)
        rgb: Any = cv2.copyMakeBorder(np.ascontiguousarray(pixels[..., :3]), *margin)
        deep: Any = cv2.copyMakeBorder(depth, *margin)
        self._size = (rgb.shape[1], rgb.shape[0])
        half = (rgb.shape[1] // 2, rgb.shape[0] // 2)
        planes = cv2.split(cv2.transform(rgb.astype(np.float32), np.array(_LUMA, np.float32)))
        halves = [cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in planes[1:]]
        wave = np.arange(side_px)
        fine = np.add.outer(wave, wave).reshape(-1)
        share = (1.0 + _FINER * (fine - 1) / (2 * side_px - 3)).astype(np.float32)
        share *= np.minimum(1.0, 2.0 * fine / side_px) ** _SLOW
        near = _least(deep, side_px), _least(deep, 2 * side_px)
        self._planes = [
            self._waves(planes[0], near[0], share),
            *(self._waves(plane, near[1], _CHROMA * share) for plane in halves),
        ]

    def _waves(
        self, plane: Any, near: Plane, share: Plane
    ) -> tuple[tuple[int, int], Any, Any, Any]:
        """Of one plane: its blocks' grid, which lie in the background, their waves and levels."""
        at = np.flatnonzero(near)
        blocks = plane.reshape(near.shape[0], self._side, near.shape[1], self._side)
        blocks = blocks.transpose(0, 2, 1, 3).reshape(-1, self._side**2)[at]
        return near.shape, at, blocks @ self._basis.T, near.reshape(-1, 1)[at] ** _GROWTH * share

    def without(self, level: float) -> Pixels:
        """The picture less the background's waves below about ``level``.

        ``level`` is an orthonormal DCT coefficient's, in 8-bit steps; 0 changes nothing.
        """
        planes: list[Any] = []
        share = np.float32(_TAKEN + (1.0 - _TAKEN) * min(1.0, level / STRONGEST))
        for (rows, columns), at, waves, levels in self._planes:
            taken = np.zeros((rows * columns, self._side**2), np.float32)
            faint = np.abs(waves) < np.minimum(level * levels, _BOLD)
            taken[at] = np.where(faint, share * waves, np.float32(0)) @ self._basis
            blocks = taken.reshape(rows, columns, self._side, self._side).transpose(0, 2, 1, 3)
            planes.append(blocks.reshape(rows * self._side, columns * self._side))
        luma, *chroma = planes
        wide = [cv2.resize(one, self._size, interpolation=cv2.INTER_NEAREST) for one in chroma]
        back = np.linalg.inv(np.array(_LUMA)).astype(np.float32)
        height, width = self._pixels.shape[:2]
        change: Any = cv2.transform(cv2.merge([luma, *wide]), back)[:height, :width]
        np.subtract(self._pixels[..., :3], change, out=change)
        np.rint(change, out=change)
        np.clip(change, 0, 255, out=change)
        mixed = self._pixels.copy()
        mixed[..., :3] = change
        return mixed


def _basis(side: int) -> Plane:
    """The two-dimensional DCT-II of a flat block as one matrix, orthonormal."""
    wave, at = np.arange(side)[:, None], np.arange(side)[None]
    line = np.cos(np.pi * (2 * at + 1) * wave / (2 * side)) * np.sqrt(2 / side)
    line[0] /= np.sqrt(2)
    return np.kron(line, line).astype(np.float32)


def _least(plane: Plane, side: int) -> Plane:
    """The least value of each block."""
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    return plane.reshape(rows, side, columns, side).min(axis=(1, 3))
