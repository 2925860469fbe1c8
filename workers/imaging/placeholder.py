"""ThumbHash: an image in some 25 bytes, to show while the real one loads.

After Evan Wallace's reference (github.com/evanw/thumbhash, ``rgbaToThumbHash``), vectorised: the
Python port takes 50 ms an image and raises on alpha.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from .codec import Metadata, save

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_PX: Final = 100
BLUR_PX: Final = 24
_RGBA: Final = 4


def thumbhash(pixels: NDArray[np.uint8]) -> bytes:
    """ThumbHash of (H, W, 3 or 4) uint8 sRGB with straight alpha."""
    rows, columns = pixels.shape[:2]
    factor = min(1.0, LONGEST_PX / max(rows, columns))
    size = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    small = pixels if factor >= 1.0 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return _hash(small.astype(np.float64) / 255.0)


def blurred(thumb: bytes, width: int, height: int) -> bytes:
    """A WebP of some 100 bytes, with the aspect ratio of a picture, that a page scales up."""
    scale = BLUR_PX / max(width, height)
    pixels = shown(thumb, max(1, round(width * scale)), max(1, round(height * scale)))
    return save(pixels, "WEBP", Metadata(), quality=60, method=4)


def shown(thumb: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """What a ThumbHash shows: (height, width, 3) uint8 sRGB, its alpha left out.

    After the reference's ``thumbHashToRGBA``.
    """
    head = int.from_bytes(thumb[:3], "little")
    tail = int.from_bytes(thumb[3:5], "little")
    has_alpha, landscape = bool(head >> 23), bool(tail >> 15)
    limit = 5 if has_alpha else 7
    across, down = (limit, tail & 7) if landscape else (tail & 7, limit)
    nibbles = (byte >> shift & 15 for byte in thumb[5 + has_alpha :] for shift in (0, 4))

    def plane(mean: float, span: float, across: int, down: int) -> NDArray[np.float64]:
        waves = np.zeros((down, across))
        for y, x in _low(across, down)[1:]:
            waves[y, x] = 2 * span * (next(nibbles) / 7.5 - 1)
        return mean + _cosines(down, height).T @ waves @ _cosines(across, width)

    luma = plane((head & 63) / 63, (head >> 18 & 31) / 31, max(3, across), max(3, down))
    # Colours are strengthened a little: quantised, they come out too grey.
    yellow = plane((head >> 6 & 63) / 31.5 - 1, 1.25 * (tail >> 3 & 63) / 63, 3, 3)
    magenta = plane((head >> 12 & 63) / 31.5 - 1, 1.25 * (tail >> 9 & 63) / 63, 3, 3)
    blue = luma - yellow * 2 / 3
    red = (3 * luma - blue + magenta) / 2
    rgb = np.stack([red, red - magenta, blue], axis=-1)
    return (rgb.clip(0, 1) * 255).round().astype(np.uint8)


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
        waves = _cosines(down, high) @ plane @ _cosines(across, wide).T / (wide * high)
        kept = [float(waves[y, x]) for y, x in _low(across, down)]
        self.mean, *rest = kept
        self.span = max(map(abs, rest), default=0.0)
        self.nibbles = [
            _round(15 * (0.5 + 0.5 / self.span * wave)) if self.span else 0 for wave in rest
        ]


def _cosines(count: int, length: int) -> NDArray[np.float64]:
    """The ``count`` lowest cosine waves over ``length`` samples: (count, length)."""
    return np.cos(np.pi / length * np.outer(np.arange(count), np.arange(length) + 0.5))


def _low(across: int, down: int) -> list[tuple[int, int]]:
    """The triangle of low frequencies (y, x), row by row, the mean first."""
    return [(y, x) for y in range(down) for x in range(across) if x * down < across * (down - y)]


def _round(value: float) -> int:
    return math.floor(value + 0.5)
