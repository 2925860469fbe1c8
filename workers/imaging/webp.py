"""WebP through Pillow: lossy VP8, and VP8L without loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import PIL
from PIL import features

from .codec import Metadata, QualityScale, load, save
from .quality_scales import WEBP

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

MAX_SIDE_PX: Final = 16_383
_VP8X_ALPHA: Final = 0x10


@dataclass(frozen=True, slots=True)
class WebP:
    """Lossy WebP: 4:2:0, alpha kept without loss."""

    method: int = 4
    format: str = "webp"
    scale: QualityScale = WEBP

    @property
    def encoder(self) -> str:
        """As in ``codec.Codec``."""
        return f"pillow {PIL.__version__} libwebp {features.version('webp')} method {self.method}"

    def encode(self, pixels: Pixels, quality: float, metadata: Metadata) -> bytes:
        """As in ``codec.Codec``."""
        return save(pixels, "WEBP", metadata, **self.options(quality))

    def options(self, quality: float) -> dict[str, Any]:
        """Pillow's, for a still or an animation."""
        return {"quality": quality, "method": self.method}

    def decode(self, data: bytes) -> Pixels:
        """As in ``codec.Codec``."""
        return load(data)

    def finish(self, data: bytes, metadata: Metadata) -> bytes:  # noqa: ARG002 (embedded by encode)
        """As in ``codec.Codec``."""
        return data


def lossless_webp(pixels: Pixels, metadata: Metadata) -> bytes:
    """WebP that decodes to the same visible pixels; colours under full transparency are dropped."""
    return save(pixels, "WEBP", metadata, lossless=True, quality=75, method=4)


def with_alpha_flag(animation: bytes) -> bytes:
    """An animation of frames with alpha, marked as such in its VP8X header.

    libwebp crops a frame to what is opaque, and when that leaves no frame with alpha it omits the
    flag: decoders that trust it fill the transparent rest with black (RFC 9649, section 2.7.1).
    """
    if animation[12:16] != b"VP8X":
        return animation
    return animation[:20] + bytes([animation[20] | _VP8X_ALPHA]) + animation[21:]
