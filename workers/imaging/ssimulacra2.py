"""SSIMULACRA2 in float32 on OpenCV: one reference, many scores.

The score follows the authors' C++ program (Cloudinary, "SSIMULACRA 2.1", BSD-3-Clause): its 108
weights, its recursive Gaussian, its zero borders and its halving are kept, so a score here is the
score of that program to within a few hundredths. Images are worked through in strips of rows, so
that temporaries stay in the cache and memory stays flat.

Scale: 100 identical, 90 visually lossless, 80 very high, 70 high, 50 medium, below 30 poor;
negative for what is hardly the same picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

from .ssimulacra2_weights import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Plane = NDArray[np.float32]
    Pixels = NDArray[np.uint8]

SCALES: Final = 6
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
_NEGLIGIBLE_WEIGHT: Final = 0.01
_STRIP_PX: Final = 1 << 17

# Opsin absorbance and bias of JPEG XL's XYB (ISO/IEC 18181-1, annex on XYB).
_BIAS: Final = 0.0037930732552754493
_LMS: Final = (
    (0.30, 1.0 - 0.30 - 0.078, 0.078),
    (0.23, 1.0 - 0.23 - 0.078, 0.078),
    (0.24342268924547819, 0.20476744424496821, 1.0 - 0.24342268924547819 - 0.20476744424496821),
)
X, Y, B = range(3)


class Need(NamedTuple):
    """Weights of one channel at one scale; 0.0 where the feature is not worth computing."""

    ssim_1: float
    artifact_1: float
    detail_1: float
    ssim_4: float
    artifact_4: float
    detail_4: float

    @property
    def ssim(self) -> bool:
        return bool(self.ssim_1 or self.ssim_4)

    @property
    def artifact(self) -> bool:
        return bool(self.artifact_1 or self.artifact_4)

    @property
    def detail(self) -> bool:
        return bool(self.detail_1 or self.detail_4)


def _needs() -> tuple[tuple[Need, Need, Need], ...]:
    """The weights worth their work, by scale and channel."""
    kept = [weight if weight >= _NEGLIGIBLE_WEIGHT else 0.0 for weight in WEIGHTS]
    flat = [Need(*kept[at : at + 6]) for at in range(0, len(kept), 6)]
    return tuple(zip(flat[:SCALES], flat[SCALES : 2 * SCALES], flat[2 * SCALES :], strict=True))


_NEEDS: Final = _needs()


@dataclass(frozen=True, slots=True)
class _Channel:
    """One channel of the reference at one scale: the plane, and its Gaussian mean."""

    need: Need
    plane: Plane
    mean: Plane


class Reference:
    """The original's side of the comparison, computed once for any number of scores.

    Args:
        pixels: (H, W, 3) sRGB uint8, or (H, W, 4) with straight alpha. Any side from 1 px up.

    It keeps about 16 bytes a pixel (twice that with real transparency) and not ``pixels``.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.height, self.width = pixels.shape[:2]
        self._transparent = pixels.shape[2] == 4 and bool(pixels[..., 3].min() < 255)
        self._sides = [_side(view) for view in _views(pixels, transparent=self._transparent)]

    def score(self, pixels: Pixels) -> float:
        """SSIMULACRA2 of ``pixels`` against the reference; at most 100.

        Args:
            pixels: same height and width as the reference, (H, W, 3) or (H, W, 4) uint8 sRGB. With
                alpha on either side both are laid on two greys and the lower score is returned.

        Raises:
            ValueError: the size is not the reference's.
        """
        if pixels.shape[:2] != (self.height, self.width):
            raise ValueError(f"{pixels.shape[:2]} against {(self.height, self.width)}")
        views = _views(pixels, transparent=self._transparent)
        return min(_score(side, view) for side, view in zip(self._sides, views, strict=True))


def _views(pixels: Pixels, *, transparent: bool) -> Iterator[Pixels]:
    """What is compared: the pixels, or the pixels on each background when either has alpha."""
    height, width, channels = pixels.shape
    down, right = max(0, MIN_SIDE_PX - height), max(0, MIN_SIDE_PX - width)
    if down or right:
        pixels = cv2.copyMakeBorder(pixels, 0, down, 0, right, cv2.BORDER_REFLECT)  # pyright: ignore[reportAssignmentType]
    if not transparent:
        yield pixels[..., :3] if channels == 4 else pixels
        return
    for grey in BACKGROUNDS:
        yield on_grey(pixels, grey)


def on_grey(pixels: Pixels, grey: int) -> Pixels:
    """``pixels`` composited in sRGB values on a grey, (H, W, 3) uint8; opaque ones as they are."""
    if pixels.shape[2] == 3:
        return pixels
    out = np.empty((*pixels.shape[:2], 3), np.uint8)
    for top, bottom in _strips(*pixels.shape[:2]):
        strip = pixels[top:bottom]
        alpha = strip[..., 3:].astype(np.float32) / np.float32(255)
        blended = (strip[..., :3].astype(np.float32) - grey) * alpha + grey
        out[top:bottom] = np.rint(blended).astype(np.uint8)
    return out


def _gaussian_taps() -> Plane:
    """The impulse response of the program's recursive Gaussian at sigma 1.5, as FIR taps.

    Charalampidis, "Recursive implementation of the Gaussian filter using truncated cosine
    functions", IEEE Trans. Signal Processing 64(14), 2016: radius N = round(3.2795 sigma + 0.2546)
    = 5 and three cosines of frequency k pi / 2N, k = 1, 3, 5, cut at N, where all three are zero.
    The amplitudes make the taps sum to 1, have variance sigma², and match the Gaussian's
    spectrum in the direction that those two constraints leave free (equations 37 to 55).
    """
    sigma, radius = 1.5, 5
    omega = np.array([1, 3, 5]) * math.pi / (2 * radius)
    signs = np.array([1, -1, 1])
    p = signs / np.tan(omega / 2)
    r = signs * p * p / np.sin(omega)
    rho = np.exp(-0.5 * sigma * sigma * omega * omega) / radius
    free = np.cross(p, r)
    free = free / free[2]
    system = np.vstack([p, r, free])
    beta = np.linalg.solve(system, [1.0, radius**2 - sigma**2, float(free @ rho)])
    taps = np.cos(np.outer(np.arange(1 - radius, radius), omega)) @ beta
    return taps.astype(np.float32)


_TAPS: Final = _gaussian_taps()
_HALO: Final = len(_TAPS) // 2


def _srgb_to_linear() -> Plane:
    value = np.arange(256) / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


_LINEAR: Final = _srgb_to_linear()


def _blur(plane: Plane) -> Plane:
    return cv2.sepFilter2D(plane, -1, _TAPS, _TAPS, borderType=cv2.BORDER_CONSTANT)  # pyright: ignore[reportReturnType]


def _strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Row ranges of even height that cover the image."""
    rows = max(16, _STRIP_PX // width // 2 * 2)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _linear(pixels: Pixels) -> list[Plane]:
    return [cv2.LUT(channel, _LINEAR) for channel in cv2.split(pixels)]  # pyright: ignore[reportReturnType]


def _root(linear: Sequence[Plane], row: int) -> Plane:
    """The cube root of one opsin response, less that of the bias (as ``exp(log / 3)``: no ``cbrt``
    is vectorised, and at float32 the difference is a rounding)."""
    red, green, blue = _LMS[row]
    mixed = cv2.addWeighted(linear[0], red, linear[1], green, _BIAS)
    mixed = cv2.scaleAdd(linear[2], blue, mixed, dst=mixed)
    cv2.log(mixed, dst=mixed)
    np.multiply(mixed, np.float32(1 / 3), out=mixed)
    return cv2.exp(mixed, dst=mixed)  # pyright: ignore[reportReturnType]


def _xyb(linear: Sequence[Plane], wanted: Sequence[Need]) -> list[Plane | None]:
    """The channels that weigh anything, shifted to be positive as the program does."""
    planes: list[Any] = [None, None, None]
    if not any(map(any, wanted)):
        return planes
    root_bias = math.cbrt(_BIAS) if hasattr(math, "cbrt") else _BIAS ** (1 / 3)
    long, medium = _root(linear, 0), _root(linear, 1)
    if any(wanted[X]):
        planes[X] = cv2.addWeighted(long, 7.0, medium, -7.0, 0.42)
    if any(wanted[Y]):
        planes[Y] = cv2.addWeighted(long, 0.5, medium, 0.5, 0.01 - root_bias)
    if any(wanted[B]):
        luma = cv2.addWeighted(long, 0.5, medium, 0.5, -0.55)
        planes[B] = cv2.subtract(_root(linear, 2), luma)
    return planes


def _halve(linear: Sequence[Plane], out: Sequence[Plane], top: int) -> None:
    """Mean of 2×2, odd edges replicated, of a strip whose first row is ``top``; into ``out``."""
    for plane, half in zip(linear, out, strict=True):
        height, width = plane.shape
        if height % 2 or width % 2:
            plane = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)  # noqa: PLW2901 (the padded plane stands for it)
        size = (plane.shape[1] // 2, plane.shape[0] // 2)
        half[top // 2 : top // 2 + size[1]] = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)


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


def _pyramid(pixels: Pixels) -> Iterator[_Strip]:
    """Every strip of every scale in XYB; only the next scale's linear planes are ever held."""
    height, width = pixels.shape[:2]
    linear: list[Plane] = []
    for scale, wanted in enumerate(_NEEDS):
        half_shape = ((height + 1) // 2, (width + 1) // 2)
        halves = [np.empty(half_shape, np.float32) for _ in range(3 if scale + 1 < SCALES else 0)]
        for top, bottom in _strips(height, width):
            outer = slice(max(0, top - _HALO), min(height, bottom + _HALO))
            inner = slice(top - outer.start, bottom - outer.start)
            strip = [p[outer] for p in linear] if scale else _linear(pixels[outer])
            if halves:
                _halve([p[inner] for p in strip], halves, top)
            planes = _xyb(strip, wanted)
            yield _Strip(scale, (height, width), wanted, top, bottom, inner, outer, planes)
        linear, (height, width) = halves, half_shape


def _side(pixels: Pixels) -> list[list[_Channel | None]]:
    """The reference's planes and means, by scale and channel."""
    side: list[list[_Channel | None]] = []
    for strip in _pyramid(pixels):
        if strip.scale == len(side):
            side.append(
                [
                    _Channel(
                        n, np.empty(strip.shape, np.float32), np.empty(strip.shape, np.float32)
                    )
                    if any(n)
                    else None
                    for n in strip.wanted
                ]
            )
        for channel, plane in zip(side[strip.scale], strip.planes, strict=True):
            if channel is not None and plane is not None:
                channel.plane[strip.top : strip.bottom] = plane[strip.inner]
                channel.mean[strip.top : strip.bottom] = _blur(plane)[strip.inner]
    return side


def _score(side: list[list[_Channel | None]], pixels: Pixels) -> float:
    sums = np.zeros((len(side), 3, 6))
    for strip in _pyramid(pixels):
        channels = zip(side[strip.scale], strip.planes, strict=True)
        for index, (channel, plane) in enumerate(channels):
            if channel is not None and plane is not None:
                sums[strip.scale, index] += _strip_sums(channel, plane, strip)
    height, width = pixels.shape[:2]
    total = 0.0
    for scale, channels in enumerate(side):
        for index, channel in enumerate(channels):
            if channel is not None:
                means = sums[scale, index] / (height * width)
                means[3:] **= 0.25
                total += float(np.dot(channel.need, means))
        height, width = (height + 1) // 2, (width + 1) // 2
    total *= 0.9562382616834844
    total = (
        2.326765642916932 * total
        - 0.020884521182843837 * total**2
        + 6.248496625763138e-05 * total**3
    )
    return 100.0 - 10.0 * total**0.6276336467831387 if total > 0 else 100.0


def _strip_sums(channel: _Channel, plane: Plane, strip: _Strip) -> list[float]:
    """Sums over the strip of ssim, artifact, detail lost, then of their fourth powers."""
    need = channel.need
    original = channel.plane[strip.outer]
    mean = channel.mean[strip.top : strip.bottom]
    error = cv2.subtract(original, plane)
    mean_error = _blur(error)[strip.inner]
    other_mean = cv2.subtract(mean, mean_error)
    sums = [0.0] * 6
    if need.ssim:
        power = cv2.multiply(original, original)
        cv2.accumulateSquare(plane, power)
        power = _blur(power)[strip.inner]
        error_power = _blur(cv2.multiply(error, error))[strip.inner]
        square = cv2.multiply(mean_error, mean_error)
        # With e the difference, 2·cov + C2 = (var1 + var2 + C2) - var(e): the textbook ratio
        # without its cancellation.
        cv2.subtract(error_power, square, dst=error_power)
        np.subtract(power, mean * mean, out=power)
        np.subtract(power, other_mean * other_mean, out=power)
        np.add(power, np.float32(_C2), out=power)
        cv2.divide(error_power, power, dst=error_power)
        difference = square + (1 - square) * error_power
        np.maximum(difference, 0, out=difference)
        sums[0], sums[3] = _sums(difference)
    if need.artifact or need.detail:
        inner = strip.inner
        edges = np.abs(original[inner] - mean)
        change = (np.abs(plane[inner] - other_mean) - edges) / (1 + edges)
        if need.artifact:
            sums[1], sums[4] = _sums(np.maximum(change, 0))
        if need.detail:
            sums[2], sums[5] = _sums(np.minimum(change, 0))
    return sums


def _sums(values: Plane) -> tuple[float, float]:
    return cv2.norm(values, cv2.NORM_L1), cv2.norm(cv2.multiply(values, values), cv2.NORM_L2SQR)
