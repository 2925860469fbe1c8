"""SSIMULACRA2 of parts of an image: of its salient region, of the rest, and of its worst tile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from . import ssimulacra2
from .scratch import Scratch
from .ssimulacra2 import SCALES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from .ssimulacra2 import Reference, View

    Pixels = NDArray[np.uint8]
    Plane = NDArray[np.float32]

TILE_PX: Final = 128
"""Side of the tiles of which the worst is reported."""

_LEAST_SHARE: Final = 1e-4
_LEAST_TILE: Final = 0.25


@dataclass(frozen=True, slots=True)
class RegionScores:
    """Scores of one encoding, on the scale of SSIMULACRA2.

    Attributes:
        salient: of the salient region; None where there is none.
        background: of all other pixels; None where there are none.
        whole: of all pixels, as ``Reference.score`` gives it.
        worst_tile: the lowest of all tiles of ``TILE_PX``; None unless asked for.
    """

    salient: float | None
    background: float | None
    whole: float
    worst_tile: float | None = None


class RegionScorer:
    """Scores by region against one reference.

    The features of SSIMULACRA2 are maps; where the whole-image score takes their plain means (and
    the fourth root of the mean fourth power), a region's score takes means weighted by the
    region's mask, halved with the image from scale to scale. A mask of ones gives the plain score.
    Maps look a few pixels around (Gaussian of sigma 1.5 at each scale), so that a region's score
    feels what lies just outside it.

    A tile's score is the same with the tile as the mask, 128 px at the finest scale and 4 px at
    the coarsest; tiles at the right and lower edges are smaller and, below a quarter of a whole
    tile's pixels, join none.

    Args:
        reference: the original's side.
        mask: (H, W) of the reference's size, bool or float of 0 to 1; 1 is salient.

    Raises:
        ValueError: the mask's size is not the reference's.
    """

    def __init__(self, reference: Reference, mask: NDArray[Any]) -> None:
        if mask.shape != (reference.height, reference.width):
            raise ValueError(f"{mask.shape} against {(reference.height, reference.width)}")
        self._reference = reference
        self.share = float(mask.mean(dtype=np.float64))
        self._mask = ssimulacra2.padded(mask.astype(np.uint8) if mask.dtype == bool else mask)
        self._masks = _pyramid(self._mask) if len(reference.bands) == 1 else []

    def score(self, pixels: Pixels, *, tiles: bool = False) -> RegionScores:
        """Scores of ``pixels``, of the reference's size: (H, W, 3) or (H, W, 4) sRGB uint8.

        With transparency both sides are laid on two greys and each region's lower score counts.

        Raises:
            ValueError: the size is not the reference's.
        """
        views = [self._view(bands, tiles=tiles) for bands in self._reference.views(pixels)]
        return RegionScores(
            salient=_lowest([view.salient for view in views]),
            background=_lowest([view.background for view in views]),
            whole=min(view.whole for view in views),
            worst_tile=_lowest([view.worst_tile for view in views]),
        )

    def _view(self, views: Iterable[View], *, tiles: bool) -> RegionScores:
        sums = np.zeros((SCALES, 3, 6, 2))
        weights = np.zeros((SCALES, 2))
        grids = [_Grid(shape, scale) for scale, shape in enumerate(_shapes(self._mask.shape))]
        tile_sums = [np.zeros((3, 6, *grid.shape)) for grid in grids] if tiles else []
        scratch = Scratch()
        for side, pixels, band in views:
            masks = self._masks or _pyramid(self._mask[band.first : band.last])
            for strip in ssimulacra2.pyramid(pixels, scratch, band):
                mask = masks[strip.scale][strip.top : strip.bottom]
                weights[strip.scale] += float(mask.sum(dtype=np.float64)), float(mask.size)
                top = (band.first >> strip.scale) + strip.top
                for index, (channel, plane) in enumerate(
                    zip(side[strip.scale], strip.planes, strict=True)
                ):
                    if channel is None or plane is None:
                        continue
                    pool = partial(_weighted, mask=mask)
                    features = ssimulacra2.strip_sums(channel, plane, strip, scratch, pool)
                    sums[strip.scale, index] += [np.broadcast_to(one, 2) for one in features]
                    if tiles:
                        pool = partial(grids[strip.scale].pooled, top=top)
                        features = ssimulacra2.strip_sums(channel, plane, strip, scratch, pool)
                        for at, one in enumerate(features):
                            tile_sums[strip.scale][index, at] += one
        salient, whole = sums[..., 0], sums[..., 1]
        rest = np.maximum(whole - salient, 0.0)
        return RegionScores(
            salient=_pooled(salient, weights[:, 0]) if self.share > _LEAST_SHARE else None,
            background=(
                _pooled(rest, weights[:, 1] - weights[:, 0])
                if self.share < 1 - _LEAST_SHARE
                else None
            ),
            whole=_pooled(whole, weights[:, 1]),
            worst_tile=_worst(tile_sums, grids) if tiles else None,
        )


class _Grid:
    """Tiles of one scale."""

    def __init__(self, shape: tuple[int, ...], scale: int) -> None:
        self._side = TILE_PX >> scale
        self.rows, self.columns = (np.arange(0, length, self._side) for length in shape)
        self.shape = (len(self.rows), len(self.columns))
        self.pixels = np.outer(
            np.diff(self.rows, append=shape[0]), np.diff(self.columns, append=shape[1])
        )

    def pooled(
        self, values: Any, sign: int, _weights: tuple[float, float], out: Any, *, top: int
    ) -> tuple[Any, Any]:
        """Sums a tile of a strip that begins at row ``top``, and sums of fourth powers."""
        values = cv2.threshold(values, 0, 0, sign, dst=out)[1]
        square = cv2.multiply(values, values)
        return self._sums(values, top), self._sums(cv2.multiply(square, square), top)

    def _sums(self, values: Any, top: int) -> NDArray[np.float64]:
        sums = np.zeros(self.shape)
        by_column = np.add.reduceat(np.abs(values), self.columns, axis=1)
        np.add.at(sums, (top + np.arange(len(values))) // self._side, by_column)
        return sums


def _weighted(
    values: Any, sign: int, _weights: tuple[float, float], out: Any, *, mask: Plane
) -> tuple[Any, Any]:
    """Sums of a map's magnitudes in the salient region and in all, and of its fourth powers."""
    values = cv2.threshold(values, 0, 0, sign, dst=out)[1]
    square = cv2.multiply(values, values)
    salient = cv2.multiply(values, mask)
    fourth = float(np.vdot(cv2.multiply(square, mask), square))
    return (
        np.array([cv2.norm(salient, cv2.NORM_L1), cv2.norm(values, cv2.NORM_L1)]),
        np.array([fourth, cv2.norm(square, cv2.NORM_L2SQR)]),
    )


def _pooled(sums: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return ssimulacra2.pooled(sums, np.maximum(weights, 1e-9))


def _worst(sums: list[NDArray[np.float64]], grids: list[_Grid]) -> float | None:
    rows, columns = (min(grid.shape[axis] for grid in grids) for axis in (0, 1))
    scores: list[float] = []
    for row in range(rows):
        for column in range(columns):
            if grids[0].pixels[row, column] < _LEAST_TILE * TILE_PX * TILE_PX:
                continue
            own = np.stack([one[:, :, row, column] for one in sums])
            weights = np.array([float(grid.pixels[row, column]) for grid in grids])
            scores.append(_pooled(own, weights))
    return min(scores, default=None)


def _lowest(scores: list[float | None]) -> float | None:
    return min((score for score in scores if score is not None), default=None)


def _shapes(finest: tuple[int, ...]) -> list[tuple[int, int]]:
    shapes = [(finest[0], finest[1])]
    for _ in range(SCALES - 1):
        shapes.append(((shapes[-1][0] + 1) // 2, (shapes[-1][1] + 1) // 2))
    return shapes


def _pyramid(mask: NDArray[Any]) -> list[Plane]:
    """The mask at every scale."""
    masks: list[Plane] = [mask.astype(np.float32)]
    for _ in range(SCALES - 1):
        masks.append(_halved(masks[-1]))
    return masks


def _halved(mask: Plane) -> Plane:
    height, width = mask.shape
    down, right = height % 2, width % 2
    even: Any = cv2.copyMakeBorder(mask, 0, down, 0, right, cv2.BORDER_REPLICATE)
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return cv2.resize(even, size, interpolation=cv2.INTER_AREA)  # pyright: ignore[reportReturnType]
