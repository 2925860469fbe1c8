"""Lanczos reduction of opaque images, four times as fast as a polyphase filter.

An antialiased reduction is a convolution with the stretched Lanczos kernel, sampled at the output's
pixels. Here the convolution is split: a short symmetric filter on the input's grid, then OpenCV's
vectorised cubic interpolation, with the filter's taps solved for so that both together have the
frequency response of Lanczos. bench/decode.py measures the split against Pillow's exact filter.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CUBIC_A: Final = -0.75  # OpenCV's cubic kernel (Keys, 1981)
_LOBES: Final = 3
_DC_WEIGHT: Final = 30.0
_STEPS: Final = 256
_AVERAGED_FROM: Final = 4.0
# Below this, the interpolation's own response varies too much with the phase.
_SPLIT_FROM: Final = 1.5


def reduce(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 scaled to ``size`` (width, height), neither side larger than before.

    Reductions by 4 and more are averaged by a whole factor first, so that a factor of at least 2
    remains for the filter.
    """
    rows, columns = pixels.shape[:2]
    ratio = min(columns / size[0], rows / size[1])
    if ratio < _SPLIT_FROM:
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    if ratio >= _AVERAGED_FROM:
        factor = int(ratio / 2)
        averaged = (columns // factor, rows // factor)
        pixels = cv2.resize(pixels, averaged, interpolation=cv2.INTER_AREA)  # pyright: ignore[reportAssignmentType] (cv2 types every array loosely)
        rows, columns = pixels.shape[:2]
    across, down = taps(columns / size[0]), taps(rows / size[1])
    filtered = cv2.sepFilter2D(pixels, -1, across, down, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(filtered, size, interpolation=cv2.INTER_CUBIC)  # pyright: ignore[reportReturnType] (cv2 types every array loosely)


@lru_cache(maxsize=256)
def taps(ratio: float) -> NDArray[np.float32]:
    """Filter taps, odd in number and symmetric, sum 1, for a reduction by ``ratio`` (at least 1).

    Least squares over the frequencies up to Nyquist between taps times cubic response, and the
    response of Lanczos stretched by ``ratio``.
    """
    reach = max(2, round(2.3 * ratio))
    frequency = np.linspace(0.0, 0.5, _STEPS + 1)
    wanted = _response(_LANCZOS, frequency * ratio)
    basis = np.cos(2.0 * np.pi * np.outer(frequency, np.arange(reach + 1)))
    basis[:, 1:] *= 2.0
    basis *= _response(_CUBIC, frequency)[:, None]
    weight = np.ones_like(frequency)
    weight[0] = _DC_WEIGHT
    half = np.linalg.lstsq(basis * weight[:, None], wanted * weight, rcond=None)[0]
    both = np.concatenate([half[:0:-1], half])
    return (both / both.sum()).astype(np.float32)


def _response(
    kernel: tuple[NDArray[np.float64], NDArray[np.float64]], frequency: NDArray[np.float64]
) -> NDArray[np.float64]:
    at, weight = kernel
    return np.cos(2.0 * np.pi * np.outer(frequency, at)) @ weight


def _sampled_lanczos() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at = np.linspace(-_LOBES, _LOBES, 1201)
    weight = np.sinc(at) * np.sinc(at / _LOBES)
    return at, weight / weight.sum()


def _sampled_cubic() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at = np.linspace(-2.0, 2.0, 801)
    far = np.abs(at)
    inner = ((_CUBIC_A + 2) * far - (_CUBIC_A + 3)) * far * far + 1
    outer = _CUBIC_A * (((far - 5) * far + 8) * far - 4)
    weight = np.where(far <= 1, inner, outer)
    return at, weight / weight.sum()


_LANCZOS: Final = _sampled_lanczos()
_CUBIC: Final = _sampled_cubic()
