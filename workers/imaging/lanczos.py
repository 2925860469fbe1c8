"""Lanczos reduction of opaque images, three to four times as fast as a polyphase filter.

An antialiased reduction is a convolution with the stretched Lanczos kernel, sampled at the output's
pixels. Here the convolution is split: a short symmetric filter on the input's grid, then OpenCV's
vectorised cubic interpolation, with the filter's taps solved for so that both together have the
frequency response of Lanczos. For several sizes of one image each filter goes on from the last.
bench/decode.py measures the split against Pillow's exact filter.
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
_FREQUENCY: Final = np.linspace(0.0, 0.5, 257)  # cycles per input px
_AVERAGED_FROM: Final = 4.0
# Below this, the interpolation's own response varies too much with the phase.
_SPLIT_FROM: Final = 1.5


class Reducer:
    """Reductions of one image, (H, W, 3) uint8, in the order of falling sizes.

    Keeps one filtered copy of the image from the first reduction on.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels
        self._filtered = pixels
        self._ratios: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    def to(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Scale to ``size`` (width, height), neither side larger than the image's.

        Reductions by 4 and more are averaged by a whole factor first, so that a factor of at least
        2 remains for the filter; those by less than 1.5 are left to Pillow.
        """
        rows, columns = self._pixels.shape[:2]
        across, down = columns / size[0], rows / size[1]
        if min(across, down) < _SPLIT_FROM:
            image = Image.fromarray(self._pixels)
            return np.asarray(image.resize(size, Image.Resampling.LANCZOS))
        if min(across, down) >= _AVERAGED_FROM:
            factor = int(min(across, down) / 2)
            averaged = (columns // factor, rows // factor)
            small = cv2.resize(self._pixels, averaged, interpolation=cv2.INTER_AREA)
            return Reducer(small).to(size)  # pyright: ignore[reportArgumentType] (cv2 types every array loosely)
        if any(
            ratios and ratio < ratios[-1]
            for ratios, ratio in zip(self._ratios, (across, down), strict=True)
        ):
            self._filtered, self._ratios = self._pixels, ((), ())
        self._ratios = ((*self._ratios[0], across), (*self._ratios[1], down))
        own = self._filtered is not self._pixels
        self._filtered = cv2.sepFilter2D(  # pyright: ignore[reportAttributeAccessIssue] (ditto)
            self._filtered,
            -1,
            taps(*self._ratios[0]),
            taps(*self._ratios[1]),
            # In place, as OpenCV's filter may: a third copy of a large image is felt.
            dst=self._filtered if own else None,
            borderType=cv2.BORDER_REPLICATE,
        )
        return cv2.resize(self._filtered, size, interpolation=cv2.INTER_CUBIC)  # pyright: ignore[reportReturnType] (ditto)


@lru_cache(maxsize=256)
def taps(*ratios: float) -> NDArray[np.float32]:
    """Taps, odd in number and symmetric, sum 1, for a reduction by the last of ``ratios``.

    The image has been through the filters for the ratios before, which rise and are at least 1.
    Least squares over the frequencies up to Nyquist between what all filters and the cubic
    interpolation do, and the response of Lanczos stretched by the last ratio.
    """
    *before, ratio = ratios
    done = _filtered(tuple(before))
    reach = max(2, round(2.3 * ratio))
    if before:
        # Widths of kernels in a row add up as squares.
        reach = max(2, round(1.8 * (ratio**2 - before[-1] ** 2) ** 0.5))
    basis = np.cos(2.0 * np.pi * np.outer(_FREQUENCY, np.arange(reach + 1)))
    basis[:, 1:] *= 2.0
    basis *= (_response(_CUBIC, _FREQUENCY) * done)[:, None]
    weight = np.ones_like(_FREQUENCY)
    weight[0] = _DC_WEIGHT
    wanted = _response(_LANCZOS, _FREQUENCY * ratio)
    half = np.linalg.lstsq(basis * weight[:, None], wanted * weight, rcond=None)[0]
    both = np.concatenate([half[:0:-1], half])
    return (both / both.sum()).astype(np.float32)


@lru_cache(maxsize=256)
def _filtered(ratios: tuple[float, ...]) -> NDArray[np.float64]:
    if not ratios:
        return np.ones_like(_FREQUENCY)
    last = taps(*ratios).astype(np.float64)
    at = np.arange(len(last), dtype=np.float64) - len(last) // 2
    return _filtered(ratios[:-1]) * _response((at, last), _FREQUENCY)


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
