"""Damage to image files: by bytes, and by what their formats are made of."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from pixfleet.workers.imaging.chunks import jpeg_segments, png_chunks, webp_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

_NUMBERS = (
    *(0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x10000),
    *(0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF),
)
_HEAD_BYTES = 128
_CONTAINERS = frozenset({b"meta", b"iprp", b"ipco", b"moov", b"trak", b"mdia", b"minf", b"stbl"})


def mutated(random: Random, file: bytes, files: Sequence[bytes]) -> bytes:
    """The file damaged in one to four ways, now and then left whole; ``files`` lend parts."""
    data = bytearray(file)
    for _ in range(random.choice((0, *[1] * 12, *[2] * 5, 3, 4))):
        if len(data) < 4:
            break
        ways = [*_ANYWHERE, *[_of_its_kind(data)] * 8]
        data = random.choice(ways)(data, random, files)
    return bytes(data)


def _of_its_kind(data: bytearray) -> Callable[..., bytearray]:
    if data[:2] == b"\xff\xd8":
        return _segments
    if data[:4] == b"\x89PNG":
        return _png
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tags
    if data[:4] == b"RIFF":
        return _riff
    if data[4:8] in (b"ftyp", b"JXL "):
        return _boxes
    return _number


def _bits(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    for _flip in range(random.choice((1, 1, 2, 4, 16))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return data


def _run(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    at, length = random.randrange(len(data)), random.choice((1, 2, 4, 16, 64, 512))
    filler = random.choice((b"\0" * length, b"\xff" * length, random.randbytes(length)))
    data[at : at + length] = filler[: len(data) - at]
    return data


def _cut(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    return data[: random.randrange(1, len(data))]


def _without(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    at = random.randrange(len(data))
    del data[at : at + random.choice((1, 2, 4, 32, 256))]
    return data


def _twice(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    at = random.randrange(len(data))
    data[at:at] = data[at : at + random.choice((1, 4, 32, 256))] * random.choice((1, 2, 50))
    return data


def _splice(data: bytearray, random: Random, files: Sequence[bytes]) -> bytearray:
    alike = [other for other in files if other[:2] == data[:2]] or files
    other = random.choice(alike if random.random() < 0.8 else files)
    return data[: random.randrange(len(data))] + other[random.randrange(len(other)) :]


def _number(data: bytearray, random: Random, _: Sequence[bytes]) -> bytearray:
    """A telling number, mostly where a header is."""
    size = random.choice((1, 2, 4))
    most = _HEAD_BYTES if random.random() < 0.7 else len(data)
    at = random.randrange(max(1, min(most, len(data)) - size))
    value = random.choice(_NUMBERS) if random.random() < 0.7 else random.randrange(1 << 14)
    order = random.choice(("big", "little"))
    data[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, order)
    return data


def _segments(data: bytearray, random: Random, files: Sequence[bytes]) -> bytearray:
    found = list(jpeg_segments(bytes(data)))
    if not found:
        return _bits(data, random, files)
    segment = random.choice(found)
    match random.randrange(5):
        case 0:
            del data[segment.start : segment.end]
        case 1:
            data[segment.end : segment.end] = data[segment.start : segment.end]
        case 2:
            data[segment.start + 1] = random.choice(
                (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC9, 0xCC, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xE2, 0xEE)
            )
        case 3:
            data[segment.start + 2 : segment.start + 4] = random.randrange(1 << 16).to_bytes(2)
        case _:
            _within(data, random, segment.payload_start, segment.end)
    return data


def _png(data: bytearray, random: Random, files: Sequence[bytes]) -> bytearray:
    found = list(png_chunks(bytes(data)))
    if not found:
        return _bits(data, random, files)
    chunk = random.choice(found)
    payload = data[chunk.payload_start : chunk.payload_end]
    kind = chunk.kind
    match random.randrange(5):
        case 0:
            del data[chunk.start : chunk.end]
            return data
        case 1:
            data[chunk.end : chunk.end] = data[chunk.start : chunk.end]
            return data
        case 2:
            kind = random.choice([other.kind for other in found] + [b"acTL", b"fcTL", b"tRNS"])
        case 3 if kind == b"IDAT":
            payload = _recompressed(payload, random)
        case _:
            _within(payload, random, 0, len(payload))
    body = bytes(kind) + bytes(payload)
    whole = struct.pack(">I", len(payload)) + body + struct.pack(">I", zlib.crc32(body))
    data[chunk.start : chunk.end] = whole
    return data


def _recompressed(payload: bytearray, random: Random) -> bytearray:
    try:
        rows = bytearray(zlib.decompress(payload))
    except zlib.error:
        return payload
    _within(rows, random, 0, len(rows))
    return bytearray(zlib.compress(bytes(rows[: random.randrange(len(rows) + 1)] * 2)))


def _riff(data: bytearray, random: Random, files: Sequence[bytes]) -> bytearray:
    found = list(webp_chunks(bytes(data)))
    if not found:
        return _bits(data, random, files)
    chunk = random.choice(found)
    match random.randrange(4):
        case 0:
            del data[chunk.start : chunk.end]
        case 1:
            data[chunk.end : chunk.end] = data[chunk.start : chunk.end] * random.choice((1, 20))
        case 2:
            size = random.choice(_NUMBERS) & 0xFFFFFFFF
            data[chunk.start + 4 : chunk.start + 8] = size.to_bytes(4, "little")
        case _:
            _within(data, random, chunk.payload_start, chunk.payload_end)
    data[4:8] = (len(data) - 8).to_bytes(4, "little")
    return data


def _boxes(data: bytearray, random: Random, files: Sequence[bytes]) -> bytearray:
    found = _all_boxes(data, 0, len(data))
    if not found:
        return _bits(data, random, files)
    start, payload, end = random.choice(found)
    match random.randrange(5):
        case 0:
            data[start : start + 4] = (random.choice(_NUMBERS) & 0xFFFFFFFF).to_bytes(4)
        case 1:
            data[start : start + 4] = random.randrange(max(9, 2 * (end - start))).to_bytes(4)
        case 2:
            other = random.choice(found)[0]
            data[start + 4 : start + 8] = data[other + 4 : other + 8]
        case _:
            _within(data, random, payload, end)
    return data


def _all_boxes(data: bytearray, at: int, last: int) -> list[tuple[int, int, int]]:
    """(start, payload, end) of boxes, ISO/IEC 14496-12 clause 4.2, and of those within."""
    found: list[tuple[int, int, int]] = []
    while at + 8 <= last:
        end = at + int.from_bytes(data[at : at + 4])
        if end < at + 8 or end > last:
            return found
        found.append((at, at + 8, end))
        kind = bytes(data[at + 4 : at + 8])
        if kind in _CONTAINERS:
            found += _all_boxes(data, at + (12 if kind == b"meta" else 8), end)
        at = end
    return found


def _tags(data: bytearray, random: Random, files: Sequence[bytes]) -> bytearray:
    """An entry of the first directory: its tag, type, count or value."""
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 12:
        return _bits(data, random, files)
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return _number(data, random, files)
    (entries,) = struct.unpack_from(order + "H", data, start)
    at = start + 2 + 12 * random.randrange(max(1, min(entries, 40)))
    if at + 12 > len(data):
        return _number(data, random, files)
    value = random.choice(_NUMBERS) if random.random() < 0.6 else random.randrange(1 << 10)
    field, width = random.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "H")))
    if field == 0:
        value = random.choice((254, 256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 322))
    elif field == 2:
        value = random.randrange(14)
    most = 0xFFFF if width == "H" else 0xFFFFFFFF
    struct.pack_into(order + width, data, at + field, value & most)
    return data


def _within(data: bytearray, random: Random, start: int, end: int) -> None:
    """Damage a stretch in place, its length kept."""
    if end <= start:
        return
    for _ in range(random.choice((1, 1, 2, 8))):
        size = min(random.choice((1, 1, 2, 4)), end - start)
        at = random.randrange(start, end - size + 1)
        value = random.choice(_NUMBERS) if random.random() < 0.5 else random.getrandbits(32)
        data[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size)


_ANYWHERE = (_bits, _run, _cut, _without, _twice, _splice, _number)
