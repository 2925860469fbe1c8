"""SSIMULACRA2 in float32 on OpenCV: one reference, many scores.

The score follows the authors' C++ program (Cloudinary, "SSIMULACRA 2.1", BSD-3-Clause): its 108
weights, its recursive Gaussian, its zero borders and its halving are kept, so a score here is the
score of that program to within a few hundredths. Images are worked through in strips of rows, so
that temporaries stay in the cache; a large image, in bands (``bands.py``) that are forgotten one
after the other, at the price of its reference's side being computed for every score.

Scale: 100 identical, 90 visually lossless, 80 very high, 70 high, 50 medium, below 30 poor;
negative for what is hardly the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

from .bands import Band, bands
from .gaussian import HALO, blur
from .scratch import Scratch
from .ssimulacra2_weights import NEEDS, Need
from .xyb import halve, linear_rgb, strips, xyb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    Plane = NDArray[np.float32]
    # A map of errors, which sign of it counts, its weights, a plane for the result: the sums of
    # magnitudes and of fourth powers.
    Pool = Callable[[Any, int, tuple[float, float], Any], tuple[Any, Any]]
    Pixels = NDArray[np.uint8]

SCALES: Final = len(NEEDS)
MIN_SIDE_PX: Final = 225
"""The smallest side that can be halved to all six scales of at least 8 px.

A smaller image is continued by reflection up to this side: the program drops the scales it lacks
and then reads its flat list of weights out of step, giving one channel the weights of another
(a 320×213 picture is punished for 4:2:0 chroma as no larger one is), and it calls any two images
under 8 px identical.
"""

BACKGROUNDS: Final = (26, 230)
"""Greys (0.1 and 0.9 of white, the program's) under an image with alpha; the lower score counts."""

_C2: Final = 0.0009
_WEIGHTS: Final = np.array(NEEDS)

# A mean takes as much memory as its plane and saves a blur of some 15 a score: kept while small.
_MEAN_KEPT_PX: Final = 1_500_000


@dataclass(frozen=True, slots=True)
class _Channel:
    """One channel of the reference at one scale: the plane, and its Gaussian mean if kept."""

    need: Need
    plane: Plane
    mean: Plane | None

    @classmethod
    def empty(cls, need: Need, shape: tuple[int, int]) -> _Channel:
        """To be filled strip by strip."""
        keeps_mean = shape[0] * shape[1] <= _MEAN_KEPT_PX
        plane = np.empty(shape, np.float32)
        return cls(need, plane, np.empty(shape, np.float32) if keeps_mean else None)


Side = list[list["_Channel | None"]]
"""The reference's planes, by scale and channel."""


class View(NamedTuple):
    """A band of what is compared: the reference's side, the other's (H, W, 3) sRGB uint8."""

    side: Side
    pixels: Pixels
    band: Band


class Reference:
    """The original's side of the comparison, computed once for any number of scores.

    Args:
        pixels: (H, W, 3) sRGB uint8, or (H, W, 4) with straight alpha. Any side from 1 px up.

    It keeps 8 to 16 bytes a pixel (twice that with real transparency) and not ``pixels``; of a
    large image, ``pixels`` alone.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.height, self.width = pixels.shape[:2]
        self.transparent = _transparent(pixels)
        self.bands = bands(*padded_shape(self.height, self.width))
        self._pixels = pixels
        self._sides: list[Side] = []
        if len(self.bands) == 1:
            greys = BACKGROUNDS if self.transparent else BACKGROUNDS[:1]
            self._sides = [_side(padded(on_grey(pixels, grey))) for grey in greys]
            del self._pixels

    def score(self, pixels: Pixels) -> float:
        """SSIMULACRA2 of ``pixels`` against the reference; at most 100.

        Args:
            pixels: same height and width as the reference, (H, W, 3) or (H, W, 4) uint8 sRGB. With
                transparency on either side both are laid on two greys and the lower score counts.

        Raises:
            ValueError: the size is not the reference's.
        """
        return min(_score(views) for views in self.views(pixels))

    def views(self, pixels: Pixels) -> Iterator[Iterator[View]]:
        """What is compared with what, as in ``score``, band by band: once, or once a grey."""
        if pixels.shape[:2] != (self.height, self.width):
            raise ValueError(f"{pixels.shape[:2]} against {(self.height, self.width)}")
        # An opaque image is one view, the same on every grey.
        both = self.transparent or _transparent(pixels)
        for index, grey in enumerate(BACKGROUNDS if both else BACKGROUNDS[:1]):
            yield self._views(pixels, index, grey)

    def _views(self, pixels: Pixels, index: int, grey: int) -> Iterator[View]:
        if self._sides:
            side = self._sides[min(index, len(self._sides) - 1)]
            yield View(side, padded(on_grey(pixels, grey)), self.bands[0])
            return
        for band in self.bands:
            own, other = (
                on_grey(padded(one)[band.first : band.last], grey) for one in (self._pixels, pixels)
            )
            yield View(_side(own), other, band)


def _transparent(pixels: Pixels) -> bool:
    return pixels.shape[2] == 4 and bool(pixels[..., 3].min() < 255)


def padded_shape(height: int, width: int) -> tuple[int, int]:
    """The size after ``padded``."""
    return max(MIN_SIDE_PX, height), max(MIN_SIDE_PX, width)


def padded(pixels: Any) -> Any:
    """Any plane or image continued by reflection to at least ``MIN_SIDE_PX`` a side."""
    height, width = pixels.shape[:2]
    high, wide = padded_shape(height, width)
    down, right = high - height, wide - width
    if not down and not right:
        return pixels
    return cv2.copyMakeBorder(pixels, 0, down, 0, right, cv2.BORDER_REFLECT)


def on_grey(pixels: Pixels, grey: int) -> Pixels:
    """``pixels`` composited in sRGB values on a grey, (H, W, 3) uint8; opaque ones as they are."""
    if pixels.shape[2] == 3:
        return pixels
    out = np.empty((*pixels.shape[:2], 3), np.uint8)
    for top, bottom in strips(*pixels.shape[:2]):
        strip = pixels[top:bottom]
        alpha = strip[..., 3:].astype(np.float32) / np.float32(255)
        blended = (strip[..., :3].astype(np.float32) - grey) * alpha + grey
        out[top:bottom] = np.rint(blended).astype(np.uint8)
    return out


class _Strip(NamedTuple):
    """One strip of one scale: rows ``top:bottom``, found at ``inner`` in planes with their halo."""

    scale: int
    shape: tuple[int, int]
    wanted: tuple[Need, Need, Need]
    top: int
    bottom: int
    inner: slice
    outer: slice
    planes: list[Plane | None]


def pyramid(pixels: Pixels, scratch: Scratch, band: Band | None = None) -> Iterator[_Strip]:
    """Every strip of every scale in XYB; only the next scale's linear planes are ever held.

    With a band, whose pixels these are, only the rows that count in it.
    """
    height, width = pixels.shape[:2]
    linear: list[Plane] = []
    for scale, wanted in enumerate(NEEDS):
        half_shape = ((height + 1) // 2, (width + 1) // 2)
        counted = band.rows(scale) if band else (0, height)
        halves = [np.empty(half_shape, np.float32) for _ in range(3 if scale + 1 < SCALES else 0)]
        for top, bottom in strips(height, width):
            outer = slice(max(0, top - HALO), min(height, bottom + HALO))
            inner = slice(top - outer.start, bottom - outer.start)
            strip = [p[outer] for p in linear] if scale else linear_rgb(pixels[outer], scratch)
            if halves:
                halve([p[inner] for p in strip], halves, top)
            top, bottom = max(top, counted[0]), min(bottom, counted[1])  # noqa: PLW2901 (what counts of it)
            if top >= bottom:
                continue
            inner = slice(top - outer.start, bottom - outer.start)
            planes = xyb(strip, [any(need) for need in wanted], scratch)
            yield _Strip(scale, (height, width), wanted, top, bottom, inner, outer, planes)
        linear, (height, width) = halves, half_shape


def _side(pixels: Pixels) -> Side:
    """The reference's planes and means, by scale and channel."""
    side: Side = []
    scratch = Scratch()
    for strip in pyramid(pixels, scratch):
        if strip.scale == len(side):
            side.append(
                [_Channel.empty(need, strip.shape) if any(need) else None for need in strip.wanted]
            )
        for channel, plane in zip(side[strip.scale], strip.planes, strict=True):
            if channel is not None and plane is not None:
                channel.plane[strip.top : strip.bottom] = plane[strip.inner]
                if channel.mean is not None:
                    mean = blur(plane, scratch.plane("mean", plane.shape))
                    channel.mean[strip.top : strip.bottom] = mean[strip.inner]
    return side


def _score(views: Iterable[View]) -> float:
    sums = np.zeros((SCALES, 3, 6))
    counts = np.zeros(SCALES)
    scratch = Scratch()
    for side, pixels, band in views:
        for strip in pyramid(pixels, scratch, band):
            counts[strip.scale] += (strip.bottom - strip.top) * strip.shape[1]
            channels = zip(side[strip.scale], strip.planes, strict=True)
            for index, (channel, plane) in enumerate(channels):
                if channel is not None and plane is not None:
                    sums[strip.scale, index] += strip_sums(channel, plane, strip, scratch, _sums)
    return pooled(sums, counts)


def pooled(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """The score of summed features.

    Args:
        sums: (6 scales, 3 channels, 6 features) as ``strip_sums`` gives them.
        counts: of the pixels at each scale, or their summed weights.
    """
    means = sums / counts[:, None, None]
    means[..., 3:] **= 0.25
    return scored(float((means * _WEIGHTS).sum()))


def scored(total: float) -> float:
    """The weighted sum of all pooled features on the scale of the score."""
    total *= 0.9562382616834844
    total = (
        2.326765642916932 * total
        - 0.020884521182843837 * total**2
        + 6.248496625763138e-05 * total**3
    )
    return 100.0 - 10.0 * total**0.6276336467831387 if total > 0 else 100.0


def strip_sums(
    channel: _Channel, plane: Plane, strip: _Strip, scratch: Scratch, pool: Pool
) -> list[Any]:
    """Sums over the strip of ssim, artifact, detail lost, then of their fourth powers, by ``pool``.

    Those without a weight stay 0.
    """
    need, inner = channel.need, strip.inner
    original = channel.plane[strip.outer]
    outer_shape = original.shape
    if channel.mean is None:
        mean: Any = blur(original, scratch.plane("mean", outer_shape))[inner]
    else:
        mean = channel.mean[strip.top : strip.bottom]
    error: Any = np.subtract(original, plane, out=scratch.plane("error", outer_shape))
    mean_error = blur(error, scratch.plane("mean error", outer_shape))[inner]
    inner_shape = mean_error.shape
    other_mean: Any = np.subtract(mean, mean_error, out=scratch.plane("other mean", inner_shape))
    sums: list[Any] = [0.0] * 6
    if need.ssim:
        powers: Any = np.multiply(original, original, out=scratch.plane("powers", outer_shape))
        cv2.accumulateSquare(plane, powers)
        variances = blur(powers, scratch.plane("variances", outer_shape))[inner]
        # Both squared means are twice their product and the square of their difference.
        square: Any = np.multiply(mean, other_mean, out=scratch.plane("powers", inner_shape))
        cv2.addWeighted(variances, 1.0, square, -2.0, _C2, dst=variances)
        np.multiply(mean_error, mean_error, out=square)
        np.subtract(variances, square, out=variances)
        np.multiply(error, error, out=error)
        ratio = blur(error, scratch.plane("ratio", outer_shape))[inner]
        # With e the difference, 2·cov + C2 = (var1 + var2 + C2) - var(e): the textbook's ratio
        # without its cancellation.
        np.subtract(ratio, square, out=ratio)
        np.divide(ratio, variances, out=ratio)
        # One less the product of both similarities, multiplied out for the same reason.
        np.multiply(ratio, square, out=variances)
        np.add(ratio, square, out=ratio)
        np.subtract(ratio, variances, out=ratio)
        sums[0], sums[3] = pool(ratio, cv2.THRESH_TOZERO, (need.ssim_1, need.ssim_4), square)
    if need.artifact or need.detail:
        edges: Any = cv2.absdiff(original[inner], mean, dst=scratch.plane("powers", inner_shape))
        change: Any = cv2.absdiff(plane[inner], other_mean, dst=other_mean)
        np.subtract(change, edges, out=change)
        np.add(edges, np.float32(1), out=edges)
        np.divide(change, edges, out=change)
        if need.artifact:
            weights = (need.artifact_1, need.artifact_4)
            sums[1], sums[4] = pool(change, cv2.THRESH_TOZERO, weights, edges)
        if need.detail:
            weights = (need.detail_1, need.detail_4)
            sums[2], sums[5] = pool(change, cv2.THRESH_TOZERO_INV, weights, edges)
    return sums


def _sums(
    values: Plane, sign: int, weights: tuple[float, float], out: Plane
) -> tuple[float, float]:
    """Sums of the values of one sign and of their fourth powers, where they have a weight."""
    one_sided: Any = cv2.threshold(values, 0, 0, sign, dst=out)[1]
    sum_1 = cv2.norm(one_sided, cv2.NORM_L1) if weights[0] else 0.0
    if not weights[1]:
        return sum_1, 0.0
    return sum_1, cv2.norm(np.multiply(one_sided, one_sided, out=one_sided), cv2.NORM_L2SQR)
