"""Where an image goes: which part of the source, at which size, on which canvas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Fit = Literal["fit", "cover", "fill", "smart", "pad", "crop"]
CENTRE = (0.5, 0.5)


class Size(NamedTuple):
    """Width and height, px."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Placement:
    """How one derivative is cut out of the source, scaled and put on its canvas."""

    source: Size  # the oriented source that `crop` refers to
    crop: tuple[float, float, float, float] | None  # x, y, width, height in source px; None: all
    size: Size  # after scaling
    canvas: Size  # the derivative's own size; larger than `size` where padded
    offset: tuple[int, int] = (0, 0)  # of the scaled image on the canvas

    @property
    def window(self) -> tuple[float, float, float, float]:
        """The part of the source that is shown: x, y, width, height in source px."""
        return self.crop or (0.0, 0.0, float(self.source.width), float(self.source.height))

    @property
    def scale(self) -> float:
        """Output px per source px, along the side that shrinks least."""
        _, _, width, height = self.window
        return max(self.size.width / width, self.size.height / height)


def fit_within(source: Size, width: int | None, height: int | None, *, enlarge: bool) -> Size:
    """Largest size with the source's aspect ratio inside the box; an absent side is unbounded.

    Never returns a side of 0 px.
    """
    scale = min(_ratios(source, width, height), default=1.0)
    return _scaled(source, scale if enlarge else min(scale, 1.0))


def cover(source: Size, width: int | None, height: int | None, *, enlarge: bool) -> Size:
    """Smallest size with the source's aspect ratio around the box; an absent side is 0."""
    scale = max(_ratios(source, width, height), default=1.0)
    return _scaled(source, scale if enlarge else min(scale, 1.0))


def place(
    source: Size,
    *,
    width: int | None,
    height: int | None,
    fit: Fit,
    enlarge: bool = False,
    focus: tuple[float, float] | None = None,
) -> Placement:
    """Lay out one derivative.

    ``width`` and ``height`` span the box in px. ``focus`` is the point, in fractions of the
    source's width and height, around which ``smart`` places its window; the centre when absent.
    Where ``enlarge`` is false and the source is smaller than the box, ``fill`` and ``smart`` keep
    the box's aspect ratio at the source's resolution, and ``pad`` keeps the box.

    Raises:
        ValueError: a side of the box is below 1 px, or missing where ``fit`` needs it.

    """
    if any(side is not None and side < 1 for side in (width, height)):
        raise ValueError(f"a box of {width} x {height} px")
    if fit in {"fit", "cover"}:
        measure = fit_within if fit == "fit" else cover
        size = measure(source, width, height, enlarge=enlarge)
        return Placement(source, None, size, size)
    if width is None or height is None:
        raise ValueError(f"{fit} needs both sides of the box")
    box = Size(width, height)
    if fit == "pad":
        size = fit_within(source, width, height, enlarge=enlarge)
        offset = ((width - size.width) // 2, (height - size.height) // 2)
        return Placement(source, None, size, box, offset)
    if fit == "crop":
        cut = Size(min(width, source.width), min(height, source.height))
        left, top = (source.width - cut.width) // 2, (source.height - cut.height) // 2
        return Placement(source, (left, top, cut.width, cut.height), cut, cut)
    window = largest_window(source, box)
    at = focus if fit == "smart" and focus else CENTRE
    x = min(max(at[0] * source.width - window[0] / 2, 0.0), source.width - window[0])
    y = min(max(at[1] * source.height - window[1] / 2, 0.0), source.height - window[1])
    size = box
    if not enlarge and window[0] < width:
        size = Size(max(1, round(window[0])), max(1, round(window[1])))
    return Placement(source, (x, y, *window), size, size)


def largest_window(source: Size, box: Size) -> tuple[float, float]:
    """Width and height, source px, of the largest window with the box's aspect ratio."""
    scale = min(source.width / box.width, source.height / box.height)
    # The product may come out a rounding error larger than the side it was divided from.
    return min(box.width * scale, source.width), min(box.height * scale, source.height)


def _ratios(source: Size, width: int | None, height: int | None) -> list[float]:
    sides = ((width, source.width), (height, source.height))
    return [box / side for box, side in sides if box]


def _scaled(source: Size, scale: float) -> Size:
    return Size(max(1, round(source.width * scale)), max(1, round(source.height * scale)))
