"""The segments and chunks that JPEG, PNG, WebP and ISO media files are made of.

The walkers read lengths only, stop quietly where the file ends or breaks, and never copy pixels.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SOI: Final = 0xD8
EOI: Final = 0xD9
SOS: Final = 0xDA
START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


class Chunk(NamedTuple):
    """One chunk: its kind, where it starts and ends in the file, and where its payload lies."""

    kind: bytes
    start: int
    payload_start: int
    payload_end: int
    end: int


def jpeg_segments(data: bytes) -> Iterator[Chunk]:
    """Segments of the first image, ITU-T T.81 clause B.1; a scan's entropy-coded data belong to it.

    The last one is EOI, and is missing where the file is cut off.
    """
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        if at + 2 > len(data) or data[at] != 0xFF:
            return
        marker = data[at + 1]
        kind = data[at + 1 : at + 2]
        if marker == EOI or marker in _BARE_MARKERS:
            yield Chunk(kind, at, at + 2, at + 2, at + 2)
            if marker == EOI:
                return
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        payload_end = end = at + 2 + length
        if length < 2 or end > len(data):
            return
        if marker == SOS:
            found = _NEXT_MARKER.search(data, end)
            end = found.start() if found else len(data)
        yield Chunk(kind, at, at + 4, payload_end, end)
        at = end


def png_chunks(data: bytes) -> Iterator[Chunk]:
    """Chunks of a PNG, ISO/IEC 15948 clause 5; checksums are left to the decoder."""
    at = 8
    while at + 12 <= len(data):
        payload_end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if payload_end + 4 > len(data):
            return
        yield Chunk(kind, at, at + 8, payload_end, payload_end + 4)
        if kind == b"IEND":
            return
        at = payload_end + 4


def webp_chunks(data: bytes) -> Iterator[Chunk]:
    """Chunks of a WebP file, RFC 9649 section 2.3."""
    at = 12
    while at + 8 <= len(data):
        payload_end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if payload_end > len(data):
            return
        end = payload_end + (payload_end - at) % 2
        yield Chunk(data[at : at + 4], at, at + 8, payload_end, end)
        at = end


def iso_boxes(data: bytes) -> Iterator[Chunk]:
    """Outermost boxes of an ISO media file (AVIF, HEIC, JPEG XL), ISO/IEC 14496-12 clause 4.2."""
    at = 0
    while at + 8 <= len(data):
        length, header = int.from_bytes(data[at : at + 4], "big"), 8
        if length == 1:
            length, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + length if length else len(data)
        if end < at + header:
            return
        yield Chunk(data[at + 4 : at + 8], at, at + header, min(end, len(data)), end)
        at = end


def cut_off(data: bytes, image_format: str) -> bool:
    """Whether the file's own lengths promise more bytes than there are."""
    if image_format == "webp":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if image_format in {"avif", "heic"} or (image_format == "jxl" and data[:1] == b"\0"):
        return any(box.end > len(data) for box in iso_boxes(data))
    if image_format == "png":
        return not any(chunk.kind == b"IEND" for chunk in png_chunks(data))
    if image_format == "jpeg":
        return not any(segment.kind[0] == EOI for segment in jpeg_segments(data))
    return False
