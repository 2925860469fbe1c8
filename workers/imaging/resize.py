"""Scaling by Lanczos, antialiased, with alpha premultiplied; all sizes from one decode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np
from PIL import Image

from .lanczos import Reducer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from .geometry import Placement

WHITE: Final = (255, 255, 255)
CASCADE_FROM: Final = 2.0
"""A size is made from the smallest derivative that is this many times as large, else from the
decode. bench/decode.py shows what less would spoil."""

_ENCODED: Final = np.arange(256, dtype=np.float32) / 255.0
_LINEAR: Final = np.where(
    _ENCODED <= 0.04045, _ENCODED / 12.92, ((_ENCODED + 0.055) / 1.055) ** 2.4
).astype(np.float32)


def resize(
    pixels: NDArray[np.uint8],
    placement: Placement,
    *,
    scale: float = 1.0,
    background: tuple[int, int, int] = WHITE,
    linear_light: bool = False,
) -> NDArray[np.uint8]:
    """One derivative: uint8 (canvas height, canvas width, 3 or 4), sRGB as its source.

    ``scale`` is that of ``pixels``, in px per px of the source that ``placement`` refers to
    (`decode.Raster.scale`). Padding takes the opaque ``background``. ``linear_light`` filters
    light instead of sRGB's encoded values: finer for stars and text, four times the CPU.
    """
    made = _Made(scale, pixels, Reducer(pixels))
    return _resize(made, placement, background, linear_light=linear_light)


def pyramid(
    pixels: NDArray[np.uint8],
    placements: Sequence[Placement],
    *,
    scale: float = 1.0,
    background: tuple[int, int, int] = WHITE,
    linear_light: bool = False,
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Every derivative from one decode, the largest first, as (index in ``placements``, pixels).

    A size is scaled from the smallest larger derivative of the whole image that is at least
    `CASCADE_FROM` times its size, else from ``pixels``: the error of scaling twice stays below
    what the metric sees, and the small sizes become nearly free.
    """
    order = sorted(range(len(placements)), key=lambda index: -placements[index].scale)
    made = [_Made(scale, pixels, Reducer(pixels))]
    for index in order:
        placement = placements[index]
        enough = [one for one in made[1:] if one.scale >= placement.scale * CASCADE_FROM]
        source = min(enough, key=lambda one: one.scale, default=made[0])
        result = _resize(source, placement, background, linear_light=linear_light)
        yield index, result
        if placement.crop is None and placement.canvas == placement.size:
            made.append(_Made(placement.scale, result, Reducer(result)))


class _Made(NamedTuple):
    scale: float
    pixels: NDArray[np.uint8]
    reducer: Reducer


def _resize(
    source: _Made,
    placement: Placement,
    background: tuple[int, int, int],
    *,
    linear_light: bool,
) -> NDArray[np.uint8]:
    pixels = source.pixels
    high, wide = pixels.shape[:2]
    size = (placement.size.width, placement.size.height)
    box = _box(placement, source.scale, wide, high)
    whole = box == (0.0, 0.0, wide, high)
    if whole and size == (wide, high):
        scaled = pixels
    elif linear_light:
        scaled = _resize_linear(pixels, size, box)
    elif whole and pixels.shape[2] == 3 and size[0] <= wide and size[1] <= high:
        scaled = source.reducer.to(size)
    else:
        image = Image.fromarray(pixels)
        scaled = np.asarray(image.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=3.0))
    return _on_canvas(scaled, placement, background)


def _box(
    placement: Placement, scale: float, wide: int, high: int
) -> tuple[float, float, float, float]:
    """The window in px of an array of ``wide`` x ``high`` px: left, top, right, bottom."""
    if placement.crop is None:
        return 0.0, 0.0, float(wide), float(high)
    x, y, width, height = placement.crop
    left, top = min(x * scale, wide - 1.0), min(y * scale, high - 1.0)
    return left, top, min((x + width) * scale, wide), min((y + height) * scale, high)


def _resize_linear(
    pixels: NDArray[np.uint8], size: tuple[int, int], box: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    light = _LINEAR[pixels[..., :3]]
    alpha = None
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3].astype(np.float32) / 255.0
        light *= alpha[..., None]
    planes = [_resize_plane(light[..., channel], size, box) for channel in range(3)]
    mixed = np.dstack(planes)
    if alpha is None:
        return _encode(mixed)
    coverage = _resize_plane(alpha, size, box).clip(0.0, 1.0)
    mixed /= np.maximum(coverage, 1e-6)[..., None]
    opacity = np.rint(coverage * 255.0).astype(np.uint8)
    return np.dstack([_encode(mixed), opacity])


def _resize_plane(
    plane: NDArray[np.float32], size: tuple[int, int], box: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    image = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=3.0))


def _encode(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    clipped = light.clip(0.0, 1.0)
    encoded = np.where(
        clipped <= 0.0031308,
        clipped * 12.92,
        1.055 * np.power(clipped, 1 / 2.4) - 0.055,
    )
    return np.rint(encoded * 255.0).astype(np.uint8)


def _on_canvas(
    scaled: NDArray[np.uint8], placement: Placement, background: tuple[int, int, int]
) -> NDArray[np.uint8]:
    canvas = placement.canvas
    if canvas == placement.size:
        return scaled
    left, top = placement.offset
    colour = (*background, 255)[: scaled.shape[2]]
    return cv2.copyMakeBorder(  # pyright: ignore[reportReturnType] (cv2 types every array loosely)
        scaled,
        top,
        canvas.height - placement.size.height - top,
        left,
        canvas.width - placement.size.width - left,
        cv2.BORDER_CONSTANT,
        value=colour,
    )
