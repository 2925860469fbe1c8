"""sRGB to the XYB planes of SSIMULACRA2, strip by strip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from .scratch import Scratch

    Plane = NDArray[np.float32]
    Pixels = NDArray[np.uint8]

_STRIP_PX: Final = 1 << 17
# Opsin absorbance and bias of JPEG XL's XYB (ISO/IEC 18181-1, annex on XYB).
_BIAS: Final = 0.0037930732552754493
_LMS: Final = (
    (0.30, 1.0 - 0.30 - 0.078, 0.078),
    (0.23, 1.0 - 0.23 - 0.078, 0.078),
    (0.24342268924547819, 0.20476744424496821, 1.0 - 0.24342268924547819 - 0.20476744424496821),
)
X, Y, B = range(3)


def _srgb_to_linear() -> Plane:
    value = np.arange(256) / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


_LINEAR: Final = _srgb_to_linear()


def strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Row ranges of even height that cover the image."""
    rows = max(16, _STRIP_PX // width // 2 * 2)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def linear_rgb(pixels: Pixels, scratch: Scratch) -> list[Plane]:
    """(H, W, 3) sRGB uint8 to three linear planes, 0 to 1."""
    return [
        cv2.LUT(channel, _LINEAR, dst=scratch.plane(name, channel.shape))
        for name, channel in zip(("red", "green", "blue"), cv2.split(pixels), strict=True)
    ]  # pyright: ignore[reportReturnType]


def _root(linear: Sequence[Plane], row: int, out: Plane) -> Plane:
    """The cube root of one opsin response, not yet less that of the bias.

    As ``exp(log / 3)``: no ``cbrt`` here is vectorised, and in float32 they differ by a rounding.
    """
    red, green, blue = _LMS[row]
    cv2.addWeighted(linear[0], red, linear[1], green, _BIAS, dst=out)
    cv2.scaleAdd(linear[2], blue, out, dst=out)
    cv2.log(out, dst=out)
    np.multiply(out, np.float32(1 / 3), out=out)
    return cv2.exp(out, dst=out)  # pyright: ignore[reportReturnType]


def xyb(linear: Sequence[Plane], wanted: Sequence[bool], scratch: Scratch) -> list[Plane | None]:
    """Those of X, Y and B that are wanted, all within 0 to about 1.

    Scaled and shifted as SSIMULACRA2 does: 14 X + 0.42, Y + 0.01, B - Y + 0.55. They are planes of
    ``scratch``: until its next taker.
    """
    planes: list[Any] = [None, None, None]
    if not any(wanted):
        return planes
    shape = linear[0].shape
    root_bias = _BIAS ** (1 / 3)
    long = _root(linear, 0, scratch.plane("long", shape))
    medium = _root(linear, 1, scratch.plane("medium", shape))
    if wanted[X]:
        out = scratch.plane("x", shape)
        planes[X] = cv2.addWeighted(long, 7.0, medium, -7.0, 0.42, dst=out)
    if wanted[Y]:
        out = scratch.plane("y", shape)
        planes[Y] = cv2.addWeighted(long, 0.5, medium, 0.5, 0.01 - root_bias, dst=out)
    if wanted[B]:
        luma = cv2.addWeighted(long, 0.5, medium, 0.5, -0.55, dst=long)
        out = _root(linear, 2, scratch.plane("b", shape))
        planes[B] = cv2.subtract(out, luma, dst=out)
    return planes


def halve(linear: Sequence[Plane], out: Sequence[Plane], top: int) -> None:
    """Mean of 2×2, odd edges replicated, of a strip whose first row is ``top``; into ``out``."""
    for plane, half in zip(linear, out, strict=True):
        height, width = plane.shape
        if height % 2 or width % 2:
            plane = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)  # noqa: PLW2901 (the padded plane stands for it)
        size = (plane.shape[1] // 2, plane.shape[0] // 2)
        part = half[top // 2 : top // 2 + size[1]]
        cv2.resize(plane, size, dst=part, interpolation=cv2.INTER_AREA)
