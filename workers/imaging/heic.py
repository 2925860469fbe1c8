"""HEIC through pillow-heif's x265."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from .codec import Metadata, QualityScale, load, save
from .pillow import register_heif
from .quality_scales import HEIC

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

MAX_SIDE_PX: Final = 16_384


@cache
def can_write_heic() -> bool:
    """Is there a wheel here, with an encoder in it."""
    try:
        version("pillow-heif")
    except PackageNotFoundError:
        return False
    import pillow_heif  # noqa: PLC0415 (loads libheif, which few jobs need)

    return bool(pillow_heif.libheif_info()["HEIF"])


@dataclass(frozen=True, slots=True)
class Heic:
    """HEVC intra frames, 4:2:0."""

    format: str = "heic"
    scale: QualityScale = HEIC

    @property
    def encoder(self) -> str:
        """As in ``codec.Codec``."""
        return f"pillow-heif {version('pillow-heif')} x265 4:2:0"

    def encode(self, pixels: Pixels, quality: float, metadata: Metadata) -> bytes:
        """As in ``codec.Codec``."""
        register_heif()
        # One thread: a worker process is one of many on its machine.
        threads = {"x265:pools": "none", "x265:frame-threads": "1"}
        return save(
            pixels, "HEIF", metadata, quality=round(quality), chroma=420, enc_params=threads
        )

    def decode(self, data: bytes) -> Pixels:
        """As in ``codec.Codec``."""
        return load(data)

    def finish(self, data: bytes, metadata: Metadata) -> bytes:  # noqa: ARG002 (embedded by encode)
        """As in ``codec.Codec``."""
        return data
