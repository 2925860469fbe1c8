"""What an encoder will find in an image: how busy, how colourful, how flat."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

_BLOCK_PX: Final = 16
_GRAPHIC_IDENTICAL: Final = 0.45


class Texture(NamedTuple):
    """Statistics of an image; logarithms of mean absolute values in 8-bit steps.

    Attributes:
        one: 1.0, the constant of a linear model.
        gradient: of luma, at full size.
        half_gradient: of luma, at half size.
        laplacian: of luma, at full size.
        chroma_gradient: of Cr, at full size.
        block_gradient: mean over blocks of the logarithm of their gradient.
        block_spread: standard deviation of the same.
        identical: share of pixels equal to their left neighbour, 0 to 1.
    """

    one: float
    gradient: float
    half_gradient: float
    laplacian: float
    chroma_gradient: float
    block_gradient: float
    block_spread: float
    identical: float

    @property
    def graphic(self) -> bool:
        """Drawn rather than photographed: most neighbours are exactly equal."""
        return self.identical > _GRAPHIC_IDENTICAL


def texture(pixels: Pixels) -> Texture:
    """Measure (H, W, 3) sRGB pixels; about 3 ms a megapixel."""
    height, width = pixels.shape[:2]
    if min(height, width) < 3:
        return Texture(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    across = cv2.absdiff(luma[:, 1:], luma[:, :-1])
    half = cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    columns, rows = max(1, (width - 1) // _BLOCK_PX), max(1, height // _BLOCK_PX)
    blocks = cv2.resize(
        # Whole blocks only: a fractional scale takes ten times as long.
        across[: rows * _BLOCK_PX, : columns * _BLOCK_PX],
        (columns, rows),
        interpolation=cv2.INTER_AREA,
    ).astype(np.float32)
    block_logs = np.log1p(blocks)
    # Cr to a constant: red less luma, which needs no second conversion.
    chroma = cv2.addWeighted(cv2.extractChannel(pixels, 0), 0.5, luma, -0.5, 128)
    return Texture(
        one=1.0,
        gradient=_log_mean(across),
        half_gradient=_log_mean(cv2.absdiff(half[:, 1:], half[:, :-1])) if half.size > 1 else 0.0,
        laplacian=_log_mean(cv2.absdiff(cv2.blur(luma, (3, 3)), luma)),
        chroma_gradient=_log_mean(cv2.absdiff(chroma[:, 1:], chroma[:, :-1])),
        block_gradient=float(block_logs.mean()),
        block_spread=float(block_logs.std()),
        identical=1.0 - cv2.countNonZero(across) / across.size,
    )


def _log_mean(values: Any) -> float:
    return math.log1p(cv2.mean(values)[0])
