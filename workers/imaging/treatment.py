"""What may be done to a background so that it takes fewer bytes."""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from . import requantise
from .codec import Metadata
from .joint_search import Outlook
from .waves import STRONGEST, FaintWaves

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .codec import Codec

    Pixels = NDArray[np.uint8]
    Plane = NDArray[np.float32]

_VP8_BLOCK_PX: Final = 4
_BLOCK_PX: Final = 8


class Treatment(Protocol):
    """Encodes with a background that is poorer the stronger the treatment."""

    name: ClassVar[str]
    """As in ``floors.FloorsOutcome``."""

    def outlook(self, salient: float, surplus: float) -> Outlook:
        """What to expect where the salient floor is ``salient``.

        ``surplus`` is by how much the uniformly coded background is over its own floor.
        """
        ...

    def encode(self, quality: float, strength: float) -> bytes:
        """Bytes as ``Codec.encode`` gives them; strength 0 leaves the background alone."""
        ...


class Requantised:
    """JPEG: coefficients of the background in fewer bits."""

    name: ClassVar[str] = "requantised"

    def __init__(self, codec: Codec, pixels: Pixels, depth: Plane) -> None:
        self._codec = codec
        self._pixels = pixels
        self._depth = depth
        self._thinned = lru_cache(maxsize=3)(self._made)

    @cached_property
    def _finest(self) -> requantise.Coefficients:
        return self._coefficients(self._codec.scale.qualities[-1])

    def _coefficients(self, quality: float) -> requantise.Coefficients:
        data = self._codec.encode(self._pixels, quality, Metadata())
        return requantise.Coefficients(data)

    def _made(self, quality: float) -> requantise.Thinned:
        return requantise.Thinned(self._coefficients(quality), self._finest, self._depth)

    def outlook(self, salient: float, surplus: float) -> Outlook:
        """As in ``Treatment``: the typical error of the strength is a fifth."""
        finer = math.exp(0.09 * max(0.0, salient - 80.0))
        strength = 0.00142 * finer * max(1.0, surplus) ** 2.3
        return Outlook(strength, strongest=6.0, fall=-11.0, felt=0.15)

    def encode(self, quality: float, strength: float) -> bytes:
        """As in ``Treatment``; strength is the price of a bit, in squares of quantiser steps."""
        return self._thinned(quality).written(strength)


class Softened:
    """Any other codec: the background without its faint waves."""

    name: ClassVar[str] = "softened"

    def __init__(self, codec: Codec, pixels: Pixels, depth: Plane, metadata: Metadata) -> None:
        self._codec = codec
        self._metadata = metadata
        vp8 = codec.format == "webp"
        self._waves = FaintWaves(pixels, depth, _VP8_BLOCK_PX if vp8 else _BLOCK_PX)
        # libwebp gives smooth segments finer steps, and the salient ones coarser steps for that.
        self._felt = 1.2 if vp8 else 0.15

    def outlook(self, salient: float, surplus: float) -> Outlook:  # noqa: ARG002 (hardly tells)
        """As in ``Treatment``."""
        return Outlook(20.0, strongest=STRONGEST, fall=-10.0, felt=self._felt)

    def encode(self, quality: float, strength: float) -> bytes:
        """As in ``Treatment``; strength is the level below which a wave is faint, of 8 bits."""
        return self._codec.encode(self._waves.without(strength), quality, self._metadata)


def treatment_of(
    codec: Codec, pixels: Pixels, depth: Plane, metadata: Metadata
) -> Treatment | None:
    """The treatment that pays for a codec; None where what it needs is not installed."""
    if codec.format != "jpeg":
        return Softened(codec, pixels, depth, metadata)
    return Requantised(codec, pixels, depth) if requantise.jpeglib else None
