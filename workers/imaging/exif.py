"""Orientation and copyright out of EXIF, IPTC and XMP; the only metadata that pixfleet reads.

A reader of its own, because a broken EXIF block must never fail an image that decodes: whatever
cannot be read is absent.
"""

from __future__ import annotations

import html
import re
import struct
from typing import Final

ORIENTATION: Final = 0x0112
COPYRIGHT: Final = 0x8298
_TYPE_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
_MOST_ENTRIES: Final = 512
_MOST_TEXT_BYTES: Final = 2048
_IPTC_COPYRIGHT: Final = b"\x1c\x02\x74"
_XMP_RIGHTS: Final = re.compile(rb"<dc:rights>.{0,200}?<rdf:li[^>]*>([^<]{1,2048})<", re.DOTALL)


def first_directory(tiff: bytes) -> dict[int, int | bytes]:
    """Tags of the first directory of a TIFF structure (TIFF 6.0, section 2).

    SHORT and LONG give their first value, ASCII and UNDEFINED their bytes; other types, and
    values that lie outside the block, are left out.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    tags: dict[int, int | bytes] = {}
    if order is None or len(tiff) < 8:
        return tags
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    if start + 2 > len(tiff):
        return tags
    (entries,) = struct.unpack_from(order + "H", tiff, start)
    for index in range(min(entries, _MOST_ENTRIES)):
        at = start + 2 + 12 * index
        if at + 12 > len(tiff):
            break
        tag, kind, count = struct.unpack_from(order + "HHI", tiff, at)
        length = _TYPE_BYTES.get(kind, 0) * count
        where = at + 8 if length <= 4 else struct.unpack_from(order + "I", tiff, at + 8)[0]
        if not length or where + length > len(tiff):
            continue
        if kind in {3, 4}:
            (tags[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), tiff, where)
        elif kind in {2, 7}:
            tags[tag] = tiff[where : where + min(length, _MOST_TEXT_BYTES)]
    return tags


def read_exif(block: bytes) -> tuple[int, str | None]:
    """Orientation (1-8; 1 where absent or nonsense) and copyright of an EXIF block."""
    tags = first_directory(block.removeprefix(b"Exif\0\0"))
    orientation = tags.get(ORIENTATION)
    if not isinstance(orientation, int) or not 1 <= orientation <= 8:
        orientation = 1
    notice = tags.get(COPYRIGHT)
    # EXIF 4.6.4: photographer and editor, parted by NUL; a lone blank stands for "no photographer".
    return orientation, _text(notice.replace(b"\0", b" ")) if isinstance(notice, bytes) else None


def iptc_copyright(block: bytes) -> str | None:
    """Copyright notice (dataset 2:116) of an IPTC-IIM block, as in a JPEG's APP13."""
    at = block.find(_IPTC_COPYRIGHT)
    if at < 0:
        return None
    length = int.from_bytes(block[at + 3 : at + 5], "big")
    return _text(block[at + 5 : at + 5 + min(length, _MOST_TEXT_BYTES)])


def xmp_copyright(packet: bytes) -> str | None:
    """Copyright notice (``dc:rights``, first language) of an XMP packet."""
    found = _XMP_RIGHTS.search(packet)
    return html.unescape(_text(found.group(1)) or "") or None if found else None


def copyright_exif(notice: str | None) -> bytes | None:
    """A smallest EXIF block (TIFF structure, no ``Exif`` prefix) with this copyright; None: none.

    Non-ASCII text is written as UTF-8, which is what readers expect in practice.
    """
    if not notice:
        return None
    text = notice.encode() + b"\0"
    # A value of up to four bytes sits in the entry itself, so that short notices are padded.
    text = text.rjust(5, b" ")
    entry = struct.pack("<HHII", COPYRIGHT, 2, len(text), 26)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0) + text


def _text(raw: bytes) -> str | None:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(char for char in text if char.isprintable()).strip() or None
