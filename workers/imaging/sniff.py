"""Which format a file is, from its first bytes: names and extensions are not trusted."""

from __future__ import annotations

from typing import Final

from pixfleet.workers.errors import DecodeError

SUPPORTED: Final = "JPEG, PNG, WebP, GIF, AVIF, TIFF, BMP, HEIC and JPEG XL"

_SIGNATURES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"BM", "bmp"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
)
_OTHERS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\0\0\1\0", "a Windows icon"),
    (b"II+\0", "a BigTIFF image"),
    (b"MM\0+", "a BigTIFF image"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"FUJIFILM", "a camera's raw file"),
)
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIC_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_MARKUP: Final = ((b"<svg", "an SVG drawing"), (b"<html", "an HTML page"), (b"<?xml", "XML"))
_FTYP_LONGEST_BYTES: Final = 256


def sniff(data: bytes) -> str:
    """The format of ``data``: jpeg, png, webp, gif, avif, tiff, bmp, heic or jxl.

    Raises:
        DecodeError: ``source_empty``; ``unsupported_format``, whose message says what the bytes
            look like; ``image_corrupt`` for a PNG whose signature a text-mode transfer has broken.

    """
    if not data:
        raise DecodeError(
            "source_empty", "the file has no bytes", "upload it again; the copy was interrupted"
        )
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp" and (name := _iso_media(data)):
        return name
    if b"PNG" in data[:4]:
        raise DecodeError(
            "image_corrupt",
            "the signature of this PNG is broken, as by a transfer in text mode",
            "copy the file again in binary mode",
        )
    raise DecodeError(
        "unsupported_format",
        f"not a supported image: the bytes look like {_looks_like(data)}",
        f"supported are {SUPPORTED}; convert the file first",
    )


def _iso_media(data: bytes) -> str | None:
    # An AVIF may lead with the neutral brand mif1, so that all compatible brands are looked at.
    end = min(int.from_bytes(data[:4], "big"), len(data), _FTYP_LONGEST_BYTES)
    brands = {data[8:12]} | {data[at : at + 4] for at in range(16, end - 3, 4)}
    if brands & _AVIF_BRANDS:
        return "avif"
    return "heic" if brands & _HEIC_BRANDS else None


def _looks_like(data: bytes) -> str:
    for signature, name in _OTHERS:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF":
        return "a RIFF file (audio or video)"
    if data[4:8] == b"ftyp":
        return "a video or another ISO media file"
    start = data[:1024]
    lowered = start.lower()
    for tag, name in _MARKUP:
        if tag in lowered:
            return name
    if not any(byte < 9 or 13 < byte < 32 for byte in start):
        return "text"
    return f"unknown data beginning with {data[:4].hex(' ')}"
