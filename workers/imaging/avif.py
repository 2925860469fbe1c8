"""AVIF through Pillow's libavif, one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import PIL
from PIL import AvifImagePlugin, features

from .codec import Metadata, QualityScale, load, save
from .quality_scales import AVIF, AVIF_FULL_CHROMA

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

MAX_SIDE_PX: Final = 65_536
# By SSIMULACRA2 and by butteraugli: docs/decisions/0007.
_FULL_CHROMA_FROM: Final = 80.0

# Pillow would decode with a thread for every core of a machine that many workers share.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


@dataclass(frozen=True, slots=True)
class Avif:
    """AV1 intra frames.

    Attributes:
        speed: libavif's, 0 slowest to 10.
        subsampling: "4:2:0" or "4:4:4".
    """

    speed: int = 9
    subsampling: str = "4:2:0"
    format: str = "avif"
    scale: QualityScale = AVIF

    @property
    def encoder(self) -> str:
        """As in ``codec.Codec``."""
        library = f"pillow {PIL.__version__} libavif {features.version('avif')}"
        return f"{library} speed {self.speed} {self.subsampling}"

    def encode(self, pixels: Pixels, quality: float, metadata: Metadata) -> bytes:
        """As in ``codec.Codec``."""
        return save(pixels, "AVIF", metadata, **self.options(quality))

    def options(self, quality: float) -> dict[str, Any]:
        """Pillow's, for a still or an animation."""
        return {
            "quality": round(quality),
            "speed": self.speed,
            "subsampling": self.subsampling,
            "max_threads": 1,
        }

    def decode(self, data: bytes) -> Pixels:
        """As in ``codec.Codec``."""
        return load(data)

    def finish(self, data: bytes, metadata: Metadata) -> bytes:  # noqa: ARG002 (embedded by encode)
        """As in ``codec.Codec``."""
        return data


def avif_codecs(speed: int, target: float) -> tuple[Avif, ...]:
    """Best first; full chroma is for what 4:2:0 cannot reach, or not in fewer bytes."""
    full = Avif(speed, "4:4:4", scale=AVIF_FULL_CHROMA)
    return (full,) if target >= _FULL_CHROMA_FROM else (Avif(speed), full)
