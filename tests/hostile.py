"""Files that break image pipelines, made here, each with the failure code it must end in.

``write_hostile(folder)`` writes them all and returns ``{file name: code}``; ``HOSTILE`` holds
``{file name: (bytes, code)}``.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path


def write_hostile(folder: Path) -> dict[str, str]:
    for name, (data, _) in HOSTILE.items():
        (folder / name).write_bytes(data)
    return {name: code for name, (_, code) in HOSTILE.items()}


def photo(image_format: str, size: tuple[int, int] = (160, 120), **options) -> bytes:
    """A small noisy picture, encoded."""
    image = Image.effect_noise(size, 60).convert("RGB")
    out = io.BytesIO()
    image.save(out, image_format, **options)
    return out.getvalue()


def png(width: int, height: int, rows: bytes = b"\0") -> bytes:
    """A PNG that claims a size, whatever pixels it has."""

    def chunk(kind: bytes, payload: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + payload))
        return struct.pack(">I", len(payload)) + kind + payload + checksum

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def gif(width: int, height: int, frames: int = 1) -> bytes:
    """A GIF of one-pixel frames on a screen of any size."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return screen + frame * frames + b";"


def _jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(photo("JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def _damaged_scan() -> bytes:
    data = bytearray(photo("JPEG", (320, 240)))
    data[len(data) // 2 : len(data) // 2 + 200] = b"\xff\x00" * 100
    return bytes(data)


def _damaged_png() -> bytes:
    data = bytearray(photo("PNG"))
    at = data.index(b"IDAT") + 400
    data[at : at + 20] = b"\0" * 20
    return bytes(data)


_SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'

HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty.jpg": (b"", "source_empty"),
    "truncated.jpg": (photo("JPEG")[:-2000], "image_truncated"),
    "truncated-progressive.jpg": (photo("JPEG", progressive=True)[:4000], "image_truncated"),
    "header-only.jpg": (photo("JPEG")[:200], "image_truncated"),
    "without-end.jpg": (photo("JPEG")[:-2], "image_truncated"),
    "truncated.png": (photo("PNG")[:-5000], "image_truncated"),
    "truncated.webp": (photo("WEBP")[:-500], "image_truncated"),
    "truncated.avif": (photo("AVIF")[:-500], "image_truncated"),
    "truncated.gif": (photo("GIF")[:-5000], "image_truncated"),
    "truncated.bmp": (photo("BMP")[:-5000], "image_truncated"),
    "truncated.tif": (photo("TIFF")[:-5000], "image_truncated"),
    "corrupt.jpg": (_damaged_scan(), "image_corrupt"),
    "corrupt.png": (_damaged_png(), "image_corrupt"),
    "text-mode.png": (photo("PNG").replace(b"\r\n", b"\n", 1), "image_corrupt"),
    "no-pixels.png": (png(0, 100), "image_no_pixels"),
    "no-pixels.gif": (gif(0, 32), "image_no_pixels"),
    "no-pixels.jpg": (_jpeg_claiming(64, 0), "image_no_pixels"),
    "bomb.png": (png(65_535, 65_535), "image_side_too_long"),
    "bomb-within-sides.png": (png(20_000, 20_000), "image_too_many_pixels"),
    "bomb-screen.gif": (gif(65_535, 65_535), "image_side_too_long"),
    "bomb-behind-garbage.gif": (
        gif(9, 9, frames=2)[:-1]
        + b"\x07\x2c"
        + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0)
        + b"\x02\0;",
        "image_side_too_long",
    ),
    "many-frames.gif": (gif(2, 2, frames=5_000), "image_too_many_frames"),
    "wide.jpg": (_jpeg_claiming(65_535, 8), "image_side_too_long"),
    "negative-height.bmp": (
        b"BM" + struct.pack("<IIIIiiHH", 58, 0, 54, 40, 100, -(2**31), 1, 24) + bytes(40),
        "image_side_too_long",
    ),
    "text.jpg": (b"this is no picture\n" * 20, "unsupported_format"),
    "page.png": (b"<!doctype html><html><body>404 not found</body></html>", "unsupported_format"),
    "drawing.svg": (_SVG, "unsupported_format"),
    "document.jpg": (b"%PDF-1.7\n" + bytes(100), "unsupported_format"),
    "video.jpg": (struct.pack(">I", 24) + b"ftypisom" + bytes(200), "unsupported_format"),
    "random.jpg": (bytes(range(1, 255)) * 4, "unsupported_format"),
}
