"""What a file is and how large, from its header alone; limits are enforced here, before decoding.

Nothing is allocated for what a header merely claims.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pixfleet.workers.errors import DecodeError, LimitError

from . import extent as extents
from .chunks import png_chunks
from .exif import read_exif, xmp_copyright
from .jpeg_header import read_jpeg
from .pillow import damaged, frame_count, open_image
from .sniff import sniff

if TYPE_CHECKING:
    from PIL import Image

    from .extent import Extent

_TURNED: Final = frozenset({5, 6, 7, 8})
# Pages of a TIFF and the pictures of a HEIC are not an animation.
_ANIMATED: Final = frozenset({"gif", "png", "webp", "avif"})
_TURNED_BY_DECODER: Final = frozenset({"tiff", "heic", "jxl"})


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest image that is decoded.

    The default side fits what panoramas need and refuses JPEG's own maximum of 65,535 px.
    """

    max_file_bytes: int = 200_000_000
    max_pixels: int = 100_000_000  # a frame
    max_side_px: int = 30_000
    max_frames: int = 1_000


@dataclass(frozen=True, slots=True)
class Header:
    """What is known before decoding."""

    format: str  # jpeg, png, webp, gif, avif, tiff, bmp, heic or jxl
    width: int  # px, oriented
    height: int  # px, oriented
    frames: int  # of an animation; 1 for a still
    has_alpha: bool
    orientation: int  # EXIF 1-8, still to be applied
    icc: bytes | None
    file_bytes: int
    mode: str  # Pillow's; "" for JPEG XL, whose plugin decodes on opening
    copyright: str | None
    notes: tuple[str, ...] = ()  # what was passed over, in words for the manifest


def read_header(data: bytes, limits: Limits) -> Header:
    """The header of an image file, checked against ``limits``.

    Raises:
        LimitError: ``file_too_large``, ``image_too_many_pixels``, ``image_side_too_long``,
            ``image_too_many_frames``.
        DecodeError: ``source_empty``, ``unsupported_format``, ``image_no_pixels``,
            ``image_corrupt``, ``image_truncated``.

    """
    if len(data) > limits.max_file_bytes:
        raise LimitError(
            "file_too_large",
            f"the file has {len(data):,} bytes; the limit is {limits.max_file_bytes:,}",
            "compress or shrink the source, or raise the file size limit",
        )
    image_format = sniff(data)
    extent = stored_extent(data, image_format, limits.max_frames)
    if extent:
        _check(extent, limits)
    elif image_format not in {"avif", "heic", "tiff"}:
        raise damaged(data, image_format, "its header has no size")
    if image_format == "jpeg" and extent:
        return _jpeg(data, extent)
    if image_format == "jxl" and extent:
        return _jxl(data, extent)
    return _pillow(data, image_format, extent, limits)


_EXTENTS: Final = {
    "jpeg": extents.jpeg_extent,
    "png": extents.png_extent,
    "webp": extents.webp_extent,
    "bmp": extents.bmp_extent,
    "tiff": extents.tiff_extent,
    "jxl": extents.jxl_extent,
}


def stored_extent(data: bytes, image_format: str, most_frames: int) -> Extent | None:
    """Size and frames by the file's first bytes alone, of what is no AVIF and no HEIC; unchecked.

    ``data`` may end early: then frames that follow are not counted.
    """
    if image_format == "gif":
        return extents.gif_extent(data, most_frames)
    reader = _EXTENTS.get(image_format)
    return reader(data) if reader else None


def _check(extent: Extent, limits: Limits) -> None:
    width, height = extent.width, extent.height
    if not width or not height:
        raise DecodeError(
            "image_no_pixels",
            f"the image is {width} x {height} px: it has no pixels",
            "the program that wrote it failed; export it again",
        )
    if max(width, height) > limits.max_side_px:
        raise LimitError(
            "image_side_too_long",
            f"the image is {width:,} x {height:,} px; a side may have {limits.max_side_px:,}",
            "shrink or cut the source, or raise the limit on sides",
        )
    if width * height > limits.max_pixels:
        raise LimitError(
            "image_too_many_pixels",
            f"the image is {width:,} x {height:,} px, {width * height:,} in all; "
            f"the limit is {limits.max_pixels:,}",
            "shrink the source, or raise the limit on pixels",
        )
    if extent.frames > limits.max_frames:
        raise LimitError(
            "image_too_many_frames",
            f"the animation has more than {limits.max_frames:,} frames",
            "shorten the animation, or raise the limit on frames",
        )


def _jpeg(data: bytes, extent: Extent) -> Header:
    found = read_jpeg(data)
    if not found.mode:
        raise damaged(data, "jpeg", "an impossible number of colour components")
    width, height = extent.width, extent.height
    if found.orientation in _TURNED:
        width, height = height, width
    return Header(
        format="jpeg",
        width=width,
        height=height,
        frames=1,
        has_alpha=False,
        orientation=found.orientation,
        icc=found.icc,
        file_bytes=len(data),
        mode=found.mode,
        copyright=found.copyright,
        notes=found.notes,
    )


def _jxl(data: bytes, extent: Extent) -> Header:
    # Its plugin decodes on opening, so that the header is all ours.
    if extent.frames > 1:
        raise DecodeError(
            "unsupported_format",
            "an animated JPEG XL; only stills are supported in this format",
            "convert it to an animated AVIF or WebP first",
        )
    return Header(
        format="jxl",
        width=extent.width,
        height=extent.height,
        frames=1,
        has_alpha=extent.has_alpha,
        orientation=1,
        icc=None,
        file_bytes=len(data),
        mode="",
        copyright=None,
    )


def _pillow(data: bytes, image_format: str, extent: Extent | None, limits: Limits) -> Header:
    with open_image(data, image_format) as image:
        frames = 1
        if image_format in _ANIMATED:
            frames = extent.frames if extent else frame_count(image)
        has_alpha = (
            (extent is not None and extent.has_alpha)
            or image.mode in {"RGBA", "LA", "PA", "RGBa", "La"}
            or "transparency" in image.info
        )
        found = extents.Extent(*image.size, frames, has_alpha)
        _check(found, limits)
        orientation, notice = _exif(data, image, image_format)
        width, height = image.size
        if orientation in _TURNED:
            width, height = height, width
        icc = image.info.get("icc_profile")
        several = image_format == "heic" and frame_count(image) > 1
        return Header(
            format=image_format,
            width=width,
            height=height,
            frames=frames,
            has_alpha=has_alpha,
            orientation=orientation,
            icc=icc if isinstance(icc, bytes) and icc else None,
            file_bytes=len(data),
            mode=image.mode,
            copyright=notice,
            notes=("the file holds further pictures; the first is taken",) if several else (),
        )


def _exif(data: bytes, image: Image.Image, image_format: str) -> tuple[int, str | None]:
    block, notice = b"", None
    if image_format == "tiff":
        block = data  # a TIFF file is itself the structure that EXIF borrows
    elif image_format == "png":
        for chunk in png_chunks(data):
            payload = data[chunk.payload_start : chunk.payload_end]
            if chunk.kind == b"eXIf":
                block = payload
            elif chunk.kind == b"tEXt" and payload.startswith(b"Copyright\0"):
                notice = payload[10:].decode("latin-1").strip() or None
    elif isinstance(exif := image.info.get("exif"), bytes):
        block = exif
    if isinstance(xmp := image.info.get("xmp"), bytes):
        notice = notice or xmp_copyright(xmp)
    orientation, exif_notice = read_exif(block)
    if image_format in _TURNED_BY_DECODER:
        orientation = 1
    return orientation, exif_notice or notice
