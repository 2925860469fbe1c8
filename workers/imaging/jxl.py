"""JPEG XL (VarDCT) through pillow-jxl-plugin, one thread."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from pixfleet.workers.errors import EncodeError

from .codec import Metadata, QualityScale, load, save
from .quality_scales import JXL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

try:
    from pillow_jxl import JpegXLImagePlugin as JpegXlImagePlugin
except ImportError:  # no wheel for this platform
    JpegXlImagePlugin = None
else:
    # The plugin would decode with a thread for every core of a machine that many workers share.
    JpegXlImagePlugin.DECODE_THREADS = 0


@dataclass(frozen=True, slots=True)
class JpegXl:
    """Lossy JPEG XL in XYB; the plugin embeds EXIF but no profile."""

    effort: int = 3
    format: str = "jxl"
    scale: QualityScale = JXL

    @property
    def encoder(self) -> str:
        """As in ``codec.Codec``."""
        return f"pillow-jxl-plugin {version('pillow-jxl-plugin')} effort {self.effort}"

    def encode(self, pixels: Pixels, quality: float, metadata: Metadata) -> bytes:
        """As in ``codec.Codec``."""
        if metadata.icc:
            raise EncodeError(
                "icc_unsupported",
                "the JPEG XL encoder cannot embed an ICC profile",
                "Let the recipe convert to sRGB, or choose another format.",
            )
        return save(pixels, "JXL", metadata, quality=quality, effort=self.effort, num_threads=1)

    def decode(self, data: bytes) -> Pixels:
        """As in ``codec.Codec``."""
        return load(data)

    def finish(self, data: bytes, metadata: Metadata) -> bytes:  # noqa: ARG002 (embedded by encode)
        """As in ``codec.Codec``."""
        return data
