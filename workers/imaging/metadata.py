"""A source's own compressed pixels with its metadata taken out, without decoding."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from . import color
from .chunks import jpeg_segments, png_chunks, webp_chunks
from .exif import copyright_exif

if TYPE_CHECKING:
    from .header import Header

_APP0, _APP1, _APP2, _APP14, _APP15, _COM = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
# What changes how pixels are shown; all else is about the picture, not the picture.
_PNG_KEPT: Final = frozenset(
    {
        *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"sRGB", b"gAMA", b"cHRM", b"cICP"),
        *(b"sBIT", b"acTL", b"fcTL", b"fdAT"),
    }
)
_WEBP_DROPPED: Final = frozenset({b"EXIF", b"XMP ", b"ICCP"})
_WEBP_ICC, _WEBP_EXIF, _WEBP_XMP = 0x20, 0x08, 0x04


def stripped(data: bytes, header: Header, keep: frozenset[str]) -> bytes | None:
    """The file without metadata, its pixels bit for bit the same; lossless.

    ``keep`` may hold ``icc`` and ``copyright``. A profile that is sRGB anyway is dropped. Further
    pictures in a JPEG (MPF, gain maps) and bytes after the image go as well.

    None where it cannot be done without a decode: formats other than JPEG, PNG and WebP, a picture
    that EXIF turns, CMYK, or a profile that must be converted because it is not kept.
    """
    if header.orientation != 1 or header.mode == "CMYK":
        return None
    keep_icc = "icc" in keep
    if header.icc and not keep_icc and not color.is_srgb(header.icc):
        return None
    exif = copyright_exif(header.copyright) if "copyright" in keep else None
    match header.format:
        case "jpeg":
            return bare_jpeg(data, exif, keep_icc=keep_icc)
        case "png":
            return _png(data, exif, keep_icc=keep_icc)
        case "webp":
            return _webp(data, header, exif, keep_icc=keep_icc)
        case _:
            return None


def bare_jpeg(data: bytes, exif: bytes | None = None, *, keep_icc: bool = False) -> bytes:
    """The first image of a JPEG file: what its pixels need, ``exif``, and the profile if kept."""
    result = bytearray(data[:2])
    if exif:
        body = b"Exif\0\0" + exif
        result += b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    for segment in jpeg_segments(data):
        marker = segment.kind[0]
        payload = data[segment.payload_start : segment.payload_start + 12]
        profile = keep_icc and marker == _APP2 and payload == b"ICC_PROFILE\0"
        jfif = marker == _APP0 and payload.startswith(b"JFIF\0")
        told = _APP0 <= marker <= _APP15 or marker == _COM
        if not told or profile or jfif or marker == _APP14:
            result += data[segment.start : segment.end]
    return bytes(result)


def _png(data: bytes, exif: bytes | None, *, keep_icc: bool) -> bytes:
    kept = _PNG_KEPT | {b"iCCP"} if keep_icc else _PNG_KEPT
    result = bytearray(data[:8])
    for chunk in png_chunks(data):
        if chunk.kind in kept:
            result += data[chunk.start : chunk.end]
        if chunk.kind == b"IHDR" and exif:
            result += _png_chunk(b"eXIf", exif)
    return bytes(result)


def _png_chunk(kind: bytes, payload: bytes) -> bytes:
    return (
        struct.pack(">I", len(payload))
        + kind
        + payload
        + struct.pack(">I", zlib.crc32(kind + payload))
    )


def _webp(data: bytes, header: Header, exif: bytes | None, *, keep_icc: bool) -> bytes:
    dropped = _WEBP_DROPPED - {b"ICCP"} if keep_icc else _WEBP_DROPPED
    chunks = [chunk for chunk in webp_chunks(data) if chunk.kind not in dropped]
    body = bytearray()
    extended = bool(chunks) and chunks[0].kind == b"VP8X"
    if exif and not extended:
        flags = _WEBP_EXIF | (0x10 if header.has_alpha else 0)
        size = (header.width - 1).to_bytes(3, "little") + (header.height - 1).to_bytes(3, "little")
        body += b"VP8X" + struct.pack("<I", 10) + bytes([flags, 0, 0, 0]) + size
    for chunk in chunks:
        part = bytearray(data[chunk.start : chunk.end])
        if chunk.kind == b"VP8X":
            part[8] &= ~(_WEBP_EXIF | _WEBP_XMP | (0 if keep_icc else _WEBP_ICC)) & 0xFF
            part[8] |= _WEBP_EXIF if exif else 0
        body += part
    if exif:
        body += b"EXIF" + struct.pack("<I", len(exif)) + exif + b"\0" * (len(exif) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + bytes(body)
