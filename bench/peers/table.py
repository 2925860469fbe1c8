"""The peers, each at its own defaults.

What imgproxy does is libvips with options of its own, which sharp can be told to use: imgproxy 3's
``processing/config.go`` has quality 80, WebP 79 and AVIF 63, its ``vips/config.go`` AVIF speed 8
and WebP effort 4, and its ``vips/vips.c`` gives libvips "effort" 9 - speed and leaves chroma to
libvips, which halves it below quality 90. Its JPEG (optimised, not progressive, libvips' chroma) is
sharp's default, so it is not listed twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .pillow import PillowJpeg
from .sharp import Sharp, version

if TYPE_CHECKING:
    from pathlib import Path

    from .peer import Peer

IMGPROXY_AVIF: Final = {"effort": 1, "chromaSubsampling": "4:2:0"}


def peers(sharp_dir: Path) -> list[Peer]:
    """All that are cheap enough for a whole set; sharp's where its folder has it."""
    found: list[Peer] = [
        PillowJpeg("Pillow 80"),
        PillowJpeg("thumbor-like", {"optimize": True, "progressive": True}),
    ]
    if found_version := version(sharp_dir):
        sharp = f"sharp {found_version}"
        found += [
            Sharp(f"{sharp} jpeg", "jpeg", 80, {}, sharp_dir),
            Sharp(f"{sharp} mozjpeg", "jpeg", 80, {"mozjpeg": True}, sharp_dir),
            Sharp(f"{sharp} webp", "webp", 80, {}, sharp_dir),
            Sharp("imgproxy-like webp", "webp", 79, {"effort": 4}, sharp_dir),
            Sharp("imgproxy-like avif", "avif", 63, IMGPROXY_AVIF, sharp_dir),
            Sharp(f"{sharp} avif", "avif", 50, {}, sharp_dir),
        ]
    return found
