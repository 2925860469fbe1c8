"""What encoders take of a machine's memory, so that a huge image is refused and not fatal."""

from __future__ import annotations

from typing import Final

from pixfleet.workers.errors import EncodeError

BYTES_PER_PX: Final = {"jpeg": 7, "png": 12, "jxl": 20, "webp": 26, "heic": 27, "avif": 39}
"""Most that a format's encoder, or decoding it again, took beyond the pixels themselves.

Peaks of resident memory at up to 100 MP (x265: 12), of jpegli with mozjpeg, imagequant and zlib,
libjxl, lossless libwebp, x265 and 4:4:4 libaom; proportional to the pixels from a few megapixels.
"""
_BY_EFFORT: Final = {("jxl", 8): 280}
"""Where an effort takes far more than its format's others."""


def check_memory(format_name: str, effort: int, px: int, most_bytes: int | None) -> None:
    """Refuse an image that the format's encoder needs too much memory for, at this effort.

    Raises:
        EncodeError: ``encoder_memory_limit``.
    """
    needed = _BY_EFFORT.get((format_name, effort), BYTES_PER_PX[format_name]) * px
    if most_bytes is not None and needed > most_bytes:
        raise EncodeError(
            "encoder_memory_limit",
            f"encoding {px / 1e6:.1f} MP as {format_name} takes about {needed / 1e9:.1f} GB, and "
            f"{most_bytes / 1e9:.1f} GB are allowed",
            "raise PIXFLEET_LIMITS_MAX_ENCODER_BYTES where every child has that much, or ask for "
            "a smaller size or another format",
        )
