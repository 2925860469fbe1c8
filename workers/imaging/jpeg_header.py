"""What a JPEG's segments say besides its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .chunks import SOS, START_OF_FRAME, jpeg_segments
from .exif import iptc_copyright, read_exif, xmp_copyright

_APP1, _APP2, _APP13 = 0xE1, 0xE2, 0xED
_MODES: Final = {1: "L", 3: "RGB", 4: "CMYK"}


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """Mode (L, RGB, CMYK; "" for another count of components), orientation, profile, copyright."""

    mode: str
    orientation: int
    icc: bytes | None
    copyright: str | None
    notes: tuple[str, ...]


def read_jpeg(data: bytes) -> JpegHeader:
    """Read the segments up to the first scan; what is broken is as if absent."""
    profile: dict[int, bytes] = {}
    notices: dict[str, str | None] = {}
    mode, orientation = "", 1
    notes: list[str] = []
    for segment in jpeg_segments(data):
        marker = segment.kind[0]
        if marker == SOS:
            break
        payload = data[segment.payload_start : segment.payload_end]
        if marker == _APP1 and payload.startswith(b"Exif\0\0"):
            orientation, notices["exif"] = read_exif(payload)
        elif marker == _APP1 and payload.startswith(b"http://ns.adobe.com/xap"):
            notices["xmp"] = xmp_copyright(payload)
        elif marker == _APP13 and payload.startswith(b"Photoshop 3.0"):
            notices["iptc"] = iptc_copyright(payload)
        elif marker == _APP2 and payload.startswith(b"ICC_PROFILE\0"):
            profile[int.from_bytes(payload[12:13])] = payload[14:]  # ICC.1 annex B.4
        elif marker == _APP2 and payload.startswith(b"MPF\0"):
            notes.append("the file holds further pictures (MPF); the first is taken")
        elif marker in START_OF_FRAME:
            mode = _MODES.get(int.from_bytes(payload[5:6]), "")  # T.81 B.2.2
    icc = b"".join(profile[part] for part in sorted(profile)) or None
    notice = notices.get("exif") or notices.get("xmp") or notices.get("iptc")
    return JpegHeader(mode, orientation, icc, notice, tuple(notes))
