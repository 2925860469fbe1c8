"""MS-SSIM on luma: a judge that knows nothing of the metric that drives the search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

WEIGHTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW: Final = 11
MIN_SIDE_PX: Final = WINDOW << (len(WEIGHTS) - 1)
_SIGMA: Final = 1.5
_C1: Final = (0.01 * 255) ** 2
_C2: Final = (0.03 * 255) ** 2


def ms_ssim(original: Pixels, coded: Pixels) -> float:
    """Multi-scale structural similarity of two sRGB images, on BT.601 luma.

    Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment",
    Asilomar 2003, equation 7: windows of 11 px that lie within the image, five scales, each the
    2 × 2 mean of the one before.

    Args:
        original: (H, W, 3) sRGB, uint8.
        coded: the same, of the same size.

    Returns:
        1 for identical images, lower for worse.

    Raises:
        ValueError: sizes differ, or a side is shorter than ``MIN_SIDE_PX``.
    """
    if original.shape != coded.shape:
        raise ValueError(f"shapes {original.shape} and {coded.shape} differ")
    if min(original.shape[:2]) < MIN_SIDE_PX:
        raise ValueError(f"a side of {original.shape[:2]} is below {MIN_SIDE_PX} px")
    x, y = (
        np.asarray(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), np.float32) for one in (original, coded)
    )
    result = 1.0
    for scale, weight in enumerate(WEIGHTS):
        luminance, contrast = _terms(x, y)
        last = scale == len(WEIGHTS) - 1
        result *= max(0.0, float((contrast * luminance if last else contrast).mean())) ** weight
        x, y = _halved(x), _halved(y)
    return result


def decibels(similarity: float) -> float:
    """MS-SSIM on a scale on which steps near 1 can be read: −10·log10(1 − MS-SSIM)."""
    return float(-10 * np.log10(max(1e-9, 1 - similarity)))


def _terms(
    x: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean_x, mean_y = _smooth(x), _smooth(y)
    variance_x = _smooth(x * x) - mean_x * mean_x
    variance_y = _smooth(y * y) - mean_y * mean_y
    covariance = _smooth(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    contrast = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return np.asarray(luminance, np.float32), np.asarray(contrast, np.float32)


def _smooth(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    margin = WINDOW // 2
    blurred = cv2.GaussianBlur(plane, (WINDOW, WINDOW), _SIGMA)
    return np.asarray(blurred[margin:-margin, margin:-margin], np.float32)


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = (side // 2 * 2 for side in plane.shape)
    halved = cv2.resize(
        plane[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA
    )
    return np.asarray(halved, np.float32)
