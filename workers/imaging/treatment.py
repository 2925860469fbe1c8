"""What may be done to a background so that it takes fewer bytes."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import cv2
import numpy as np

from . import requantise
from .codec import Metadata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .codec import Codec

    Pixels = NDArray[np.uint8]
    Plane = NDArray[np.float32]


_BLOCK_PX: Final = 16


class Treatment(Protocol):
    """Encodes with a background that is poorer the stronger the treatment."""

    name: ClassVar[str]
    """As in ``floors.FloorsOutcome``."""
    first: ClassVar[float]
    """The strength to begin with."""
    strongest: ClassVar[float]
    """More is never worth trying."""

    def encode(self, quality: float, strength: float) -> bytes:
        """Bytes as ``Codec.encode`` gives them; strength 0 leaves the background alone."""
        ...


class Requantised:
    """JPEG: AC coefficients of the background in coarser steps."""

    name: ClassVar[str] = "requantised"
    first: ClassVar[float] = 2.0
    strongest: ClassVar[float] = 12.0

    def __init__(self, codec: Codec, pixels: Pixels, depth: Plane) -> None:
        self._codec = codec
        self._pixels = pixels
        self._depth = depth
        self._coded = lru_cache(maxsize=2)(self._coefficients)

    @cached_property
    def _finest(self) -> requantise.Coefficients:
        return self._coefficients(self._codec.scale.qualities[-1])

    def _coefficients(self, quality: float) -> requantise.Coefficients:
        data = self._codec.encode(self._pixels, quality, Metadata())
        return requantise.Coefficients(data)

    def encode(self, quality: float, strength: float) -> bytes:
        """As in ``Treatment``; strength is the excess over one quantiser step."""
        return requantise.requantised(
            self._coded(quality), self._finest, self._depth, 1.0 + strength
        )


class Softened:
    """Any codec: the background replaced by the codec's own decode at a lower quality."""

    name: ClassVar[str] = "softened"
    first: ClassVar[float] = 10.0
    strongest: ClassVar[float] = 60.0

    def __init__(self, codec: Codec, pixels: Pixels, depth: Plane, metadata: Metadata) -> None:
        self._codec = codec
        self._pixels = pixels
        self._metadata = metadata
        if codec.format == "webp":
            depth = by_macroblock(depth)
        self._weight: Any = cv2.merge([depth] * 3)
        self._poorer = lru_cache(maxsize=4)(self._decoded)

    def _decoded(self, quality: float) -> Pixels:
        return self._codec.decode(self._codec.encode(self._pixels, quality, Metadata()))

    def encode(self, quality: float, strength: float) -> bytes:
        """As in ``Treatment``; strength is a difference of qualities."""
        lower = max(self._codec.scale.qualities[0], quality - strength)
        nearest = min(self._codec.scale.qualities, key=lambda one: abs(one - lower))
        poorer = self._poorer(nearest)[..., :3].astype(np.float32)
        mixed = self._pixels.copy()
        exact = self._pixels[..., :3].astype(np.float32)
        mixed[..., :3] = np.rint(exact + (poorer - exact) * self._weight).astype(np.uint8)
        return self._codec.encode(mixed, quality, self._metadata)


def by_macroblock(depth: Plane) -> Plane:
    """The least depth of each 16 px block in all its pixels.

    VP8 predicts and codes by macroblock: one that is half exact takes as much as a whole one.
    """
    height, width = depth.shape
    rows, columns = -(-height // _BLOCK_PX), -(-width // _BLOCK_PX)
    bottom, right = rows * _BLOCK_PX - height, columns * _BLOCK_PX - width
    whole: Any = cv2.copyMakeBorder(depth, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    least = whole.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX).min(axis=(1, 3))
    return least.repeat(_BLOCK_PX, axis=0).repeat(_BLOCK_PX, axis=1)[:height, :width]


def treatment_of(
    codec: Codec, pixels: Pixels, depth: Plane, metadata: Metadata
) -> Treatment | None:
    """The treatment that pays for a codec; None where what it needs is not installed."""
    if codec.format != "jpeg":
        return Softened(codec, pixels, depth, metadata)
    return Requantised(codec, pixels, depth) if requantise.jpeglib else None
