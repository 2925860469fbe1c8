"""What encoders take of a machine's memory, so that a huge image is refused and not fatal."""

from __future__ import annotations

from typing import Final

from pixfleet.workers.errors import EncoderLostError

BYTES_PER_PX: Final = {"jpeg": 7, "webp": 26, "avif": 38, "jxl": 13, "png": 12}
"""Most that a format's dearest encoding, or decoding it again, took beyond the pixels themselves.

Peaks of resident memory at 50 and 100 MP (jpegli + mozjpeg, libwebp lossless, libaom 4:4:4,
libjxl, imagequant and zlib); proportional to the pixels from a few megapixels on.
"""
_UNKNOWN: Final = 40


def check_memory(format_name: str, px: int, most_bytes: int | None) -> None:
    """Refuse an image that the format's encoder needs too much memory for.

    Raises:
        EncoderLostError: ``encoder_memory_limit``.
    """
    needed = BYTES_PER_PX.get(format_name, _UNKNOWN) * px
    if most_bytes is not None and needed > most_bytes:
        raise EncoderLostError(
            "encoder_memory_limit",
            f"encoding {px / 1e6:.0f} MP as {format_name} takes about {needed / 1e9:.1f} GB, and "
            f"{most_bytes / 1e9:.1f} GB are allowed",
            "raise PIXFLEET_LIMITS_MAX_ENCODER_BYTES where every child has that much, or ask for "
            "a smaller size or another format",
        )
