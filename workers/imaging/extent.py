"""Width, height and frames straight from a file's bytes, before any decoder is made.

Decoders allocate what a header claims, and some refuse sides of 0 px as "not an image", so that
sizes are read here first.
"""

from __future__ import annotations

import re
import struct
from typing import Final, NamedTuple

from .chunks import START_OF_FRAME, iso_boxes, jpeg_segments, png_chunks, webp_chunks
from .exif import first_directory

_GIF_BLOCK: Final = re.compile(rb"[,!;]")
_JXL_RATIOS: Final = ((1, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class Extent(NamedTuple):
    """Stored size in px (before orientation), frames, and whether alpha is declared."""

    width: int
    height: int
    frames: int = 1
    has_alpha: bool = False


def jpeg_extent(data: bytes) -> Extent | None:
    """Size out of the frame header, ITU-T T.81 B.2.2."""
    for segment in jpeg_segments(data):
        if segment.kind[0] in START_OF_FRAME and segment.payload_end - segment.payload_start >= 6:
            height, width = struct.unpack_from(">HH", data, segment.payload_start + 1)
            return Extent(width, height)
    return None


def png_extent(data: bytes) -> Extent | None:
    """Size out of IHDR, frames out of acTL, which precedes the pixels."""
    if len(data) < 29 or data[12:16] != b"IHDR":
        return None
    width, height, _, color_type = struct.unpack_from(">IIBB", data, 16)
    frames, has_alpha = 1, color_type in {4, 6}
    for chunk in png_chunks(data):
        if chunk.kind == b"acTL" and chunk.payload_end - chunk.payload_start >= 4:
            frames = max(1, int.from_bytes(data[chunk.payload_start : chunk.payload_start + 4]))
        has_alpha = has_alpha or chunk.kind == b"tRNS"
        if chunk.kind == b"IDAT":
            break
    return Extent(width, height, frames, has_alpha)


def webp_extent(data: bytes) -> Extent | None:
    """Size out of the first chunk, RFC 9649 sections 2.5 to 2.7; frames by counting ANMF."""
    kind = data[12:16]
    if len(data) < 30:
        return None
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        frames = sum(chunk.kind == b"ANMF" for chunk in webp_chunks(data))
        return Extent(width, height, max(1, frames), bool(data[20] & 0x10))
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Extent(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return Extent((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 1, bool(bits >> 28 & 1))
    return None


def gif_extent(data: bytes, most_frames: int) -> Extent | None:
    """Size that holds the screen and every frame; frames counted up to ``most_frames`` + 1.

    The screen of a small GIF may be outgrown by a frame, which decoders then allocate. Between
    blocks Pillow passes over bytes that mean nothing, and so finds frames behind them.
    """
    if len(data) < 13:
        return None
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    if not width or not height:
        return Extent(width, height)
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    frames, has_alpha = 0, False
    while at + 10 <= len(data) and frames <= most_frames:
        kind = data[at]
        if kind == 0x2C:
            left, top, wide, high, local = struct.unpack_from("<HHHHB", data, at + 1)
            if not frames:
                # Decoders agree that the first frame stretches the screen; later ones are clipped.
                has_alpha = has_alpha or wide < width or high < height
            width, height = max(width, left + wide), max(height, top + high)
            frames += 1
            at = _after_blocks(data, at + 11 + (3 << (local & 7) + 1 if local & 0x80 else 0))
        elif kind == 0x21:
            if data[at + 1] == 0xF9:
                has_alpha = has_alpha or bool(data[at + 3] & 1)
            at = _after_blocks(data, at + 2)
        else:
            found = _GIF_BLOCK.search(data, at)
            if not found or found[0] == b";":
                break
            at = found.start()
    return Extent(width, height, max(1, frames), has_alpha)


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def bmp_extent(data: bytes) -> Extent | None:
    """Size out of the bitmap's info header; a negative height means rows from the top."""
    if len(data) < 26:
        return None
    if int.from_bytes(data[14:18], "little") == 12:
        return Extent(*struct.unpack_from("<HH", data, 18))
    width, height = struct.unpack_from("<Ii", data, 18)
    return Extent(width, abs(height))


def tiff_extent(data: bytes) -> Extent | None:
    """Size of the first page."""
    tags = first_directory(data)
    width, height = tags.get(256), tags.get(257)
    if isinstance(width, int) and isinstance(height, int):
        return Extent(width, height)
    return None


class _Bits:
    """Bits of a JPEG XL codestream, least significant first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._value & (1 << count) - 1
        self._value >>= count
        return value

    def pick(self, *choices: tuple[int, int]) -> int:
        offset, count = choices[self.take(2)]
        return offset + self.take(count)


def jxl_extent(data: bytes) -> Extent | None:
    """Size (oriented, as decoders give it), animation and extra channels, ISO/IEC 18181-1 annex D.

    An animation counts as two frames: how many there are only decoding tells.
    """
    bits = _Bits(_jxl_codestream(data)[2:66])
    width, height = _jxl_size(bits)
    if bits.take(1):
        return Extent(width, height)
    animated = False
    if bits.take(1):
        if bits.take(3) >= 4:
            width, height = height, width
        if bits.take(1):
            _jxl_size(bits)
        if bits.take(1):
            return Extent(width, height)
        animated = bool(bits.take(1))
        if animated:
            return Extent(width, height, 2)
    if bits.take(1):
        bits.pick((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
    else:
        bits.pick((8, 0), (10, 0), (12, 0), (1, 6))
    bits.take(1)
    return Extent(width, height, 1, bits.pick((0, 0), (1, 0), (2, 4), (1, 12)) > 0)


def _jxl_size(bits: _Bits) -> tuple[int, int]:
    choices = ((1, 9), (1, 13), (1, 18), (1, 30))
    small = bits.take(1)
    height = 8 * (bits.take(5) + 1) if small else bits.pick(*choices)
    ratio = bits.take(3)
    if ratio:
        over, under = _JXL_RATIOS[ratio]
        return height * over // under, height
    return 8 * (bits.take(5) + 1) if small else bits.pick(*choices), height


def _jxl_codestream(data: bytes) -> bytes:
    if data[:2] == b"\xff\x0a":
        return data[:128]
    for box in iso_boxes(data):
        if box.kind in {b"jxlc", b"jxlp"}:
            start = box.payload_start + (4 if box.kind == b"jxlp" else 0)
            return data[start : start + 128]
    return b""
