"""ThumbHash: an image in some 25 bytes, to show while the real one loads.

After Evan Wallace's reference (github.com/evanw/thumbhash, ``rgbaToThumbHash``), vectorised: the
Python port takes 50 ms an image and raises on alpha.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_PX: Final = 100
_RGBA: Final = 4


def thumbhash(pixels: NDArray[np.uint8]) -> bytes:
    """ThumbHash of (H, W, 3 or 4) uint8 sRGB with straight alpha."""
    rows, columns = pixels.shape[:2]
    factor = min(1.0, LONGEST_PX / max(rows, columns))
    size = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    small = pixels if factor >= 1.0 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return _hash(small.astype(np.float64) / 255.0)


def _hash(image: NDArray[np.float64]) -> bytes:
    high, wide = image.shape[:2]
    alpha = image[..., 3] if image.shape[2] == _RGBA else np.ones((high, wide))
    rgb = image[..., :3] * alpha[..., None]
    covered = alpha.sum()
    average = rgb.sum(axis=(0, 1)) / covered if covered else np.zeros(3)
    rgb += average * (1.0 - alpha[..., None])
    has_alpha = bool(covered < wide * high)
    limit = 5 if has_alpha else 7
    across = max(1, _round(limit * wide / max(wide, high)))
    down = max(1, _round(limit * high / max(wide, high)))
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    luma = _Channel((red + green + blue) / 3, max(3, across), max(3, down))
    yellow = _Channel((red + green) / 2 - blue, 3, 3)
    magenta = _Channel(red - green, 3, 3)
    landscape = wide > high
    head = (
        _round(63 * luma.mean)
        | _round(31.5 + 31.5 * yellow.mean) << 6
        | _round(31.5 + 31.5 * magenta.mean) << 12
        | _round(31 * luma.span) << 18
        | has_alpha << 23
    )
    tail = (
        (down if landscape else across)
        | _round(63 * yellow.span) << 3
        | _round(63 * magenta.span) << 9
        | landscape << 15
    )
    result = bytearray(head.to_bytes(3, "little") + tail.to_bytes(2, "little"))
    channels = [luma, yellow, magenta]
    if has_alpha:
        opacity = _Channel(alpha, 5, 5)
        result.append(_round(15 * opacity.mean) | _round(15 * opacity.span) << 4)
        channels.append(opacity)
    nibbles = [nibble for channel in channels for nibble in channel.nibbles]
    nibbles += [0] * (len(nibbles) % 2)
    result += bytes(low | top << 4 for low, top in zip(nibbles[::2], nibbles[1::2], strict=True))
    return bytes(result)


class _Channel:
    """Mean, largest amplitude and 4-bit amplitudes of a plane's low cosine frequencies."""

    def __init__(self, plane: NDArray[np.float64], across: int, down: int) -> None:
        high, wide = plane.shape
        rows = np.cos(np.pi / high * np.outer(np.arange(down), np.arange(high) + 0.5))
        columns = np.cos(np.pi / wide * np.outer(np.arange(across), np.arange(wide) + 0.5))
        waves = rows @ plane @ columns.T / (wide * high)
        # The triangle of low frequencies, row by row.
        kept = [
            float(waves[y, x])
            for y in range(down)
            for x in range(across)
            if x * down < across * (down - y)
        ]
        self.mean, *rest = kept
        self.span = max(map(abs, rest), default=0.0)
        self.nibbles = [
            _round(15 * (0.5 + 0.5 / self.span * wave)) if self.span else 0 for wave in rest
        ]


def _round(value: float) -> int:
    return math.floor(value + 0.5)
