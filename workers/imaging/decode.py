"""Bytes to pixels: one decode for all the sizes that a job needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from pixfleet.workers.errors import DecodeError

from . import color
from .geometry import Size
from .metadata import bare_jpeg
from .pillow import damaged, open_image, translated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .header import Header

MARGIN: Final = 2.0
"""A decode is shrunk on load (a JPEG by its DCT, other formats by averaging) to no less than this
multiple of the largest size needed; bench/decode.py shows what less would spoil."""

_TURNED: Final = frozenset({5, 6, 7, 8})
_CODES: Final = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
_GREY_16: Final = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_PREMULTIPLIED: Final = {"RGBA": "RGBa", "LA": "La"}


@dataclass(frozen=True, slots=True)
class Raster:
    """Decoded pixels: uint8 (H, W, 3 or 4), oriented; straight alpha.

    ``icc`` None: sRGB; else the profile whose space they are in. ``scale`` is decoded px per px of
    the source, at most 1.
    """

    pixels: NDArray[np.uint8]
    icc: bytes | None
    scale: float


def decode(data: bytes, header: Header, *, needed: Size | None, keep_icc: bool = False) -> Raster:
    """The first frame of an image file, oriented, in sRGB (or in its own RGB profile if kept).

    ``needed`` is the size that the whole source will have in the largest derivative; the decode
    shrinks on load while it stays comfortably larger. None: full size. An alpha channel that is
    opaque everywhere is dropped.

    Raises:
        DecodeError: ``image_truncated``, ``image_corrupt``, ``unsupported_pixels``.

    """
    if header.orientation in _TURNED and needed:
        needed = Size(needed.height, needed.width)
    if header.format == "jpeg":
        image, scale = _decode_jpeg(data, header, needed)
    else:
        with open_image(data, header.format) as opened:
            with translated(data, header.format):
                opened.load()
            image, scale = shrink(opened, needed)
    icc = header.icc
    if header.format == "jxl" and isinstance(image, Image.Image):
        icc = image.info.get("icc_profile")
    pixels, kept = finish(image, icc, header.orientation, keep_icc=keep_icc)
    return Raster(pixels, kept, scale)


def finish(
    image: Image.Image | NDArray[np.uint8], icc: bytes | None, orientation: int, *, keep_icc: bool
) -> tuple[NDArray[np.uint8], bytes | None]:
    """Pixels in their colour space and orientation, and the profile that was kept."""
    kept = None
    if icc and keep_icc and color.fits(icc, "RGB") and not _is_grey_or_cmyk(image):
        kept = icc
    pixels = _rgb(image, None if kept else icc)
    if pixels.shape[2] == 4 and pixels[..., 3].min() == 255:
        pixels = np.ascontiguousarray(pixels[..., :3])
    return turn(pixels, orientation), kept


def turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Apply an EXIF orientation (CIPA DC-008, tag 274)."""
    if orientation in _CODES:
        return cv2.rotate(pixels, _CODES[orientation])  # pyright: ignore[reportReturnType]
    if orientation in {2, 4}:
        return cv2.flip(pixels, 1 if orientation == 2 else 0)  # pyright: ignore[reportReturnType]
    if orientation in {5, 7}:
        turned = cv2.transpose(pixels)
        return turned if orientation == 5 else cv2.rotate(turned, cv2.ROTATE_180)  # pyright: ignore[reportReturnType]
    return pixels


def _decode_jpeg(
    data: bytes, header: Header, needed: Size | None
) -> tuple[Image.Image | NDArray[np.uint8], float]:
    stored = Size(header.width, header.height)
    if header.orientation in _TURNED:
        stored = Size(header.height, header.width)
    eighths = _eighths(stored, needed)
    least = Size(*(-(-side * eighths // 8) for side in stored))
    if header.mode == "CMYK":
        with open_image(data, "jpeg") as image, translated(data, "jpeg"):
            image.draft(None, least)
            image.load()
            return image, eighths / 8
    try:
        pixels = _turbo(data, least)
    except ValueError as error:
        if not _harmless(str(error)):
            raise damaged(data, "jpeg", str(error)) from error
        pixels = _without_metadata(data, least)
    # libjpeg rounds sizes up: a last row or column that is mostly beyond the image is cut off.
    right, bottom = (max(1, round(side * eighths / 8)) for side in stored)
    return np.ascontiguousarray(pixels[:bottom, :right]), eighths / 8


def _eighths(stored: Size, needed: Size | None) -> int:
    """8, 4, 2 or 1: in eighths, the smallest scale that keeps the margin.

    libjpeg-turbo has vector code for these alone; those between cost more than a full decode.
    """
    if needed is None:
        return 8
    scale = MARGIN * max(needed.width / stored.width, needed.height / stored.height)
    return next((eighths for eighths in (1, 2, 4) if scale <= eighths / 8), 8)


def _turbo(data: bytes, least: Size) -> NDArray[np.uint8]:
    return simplejpeg.decode_jpeg(data, "RGB", min_width=least.width, min_height=least.height)


def _harmless(reason: str) -> bool:
    """Whether libjpeg complains about a profile's order, which does not touch a pixel."""
    return "ICC marker" in reason


def _without_metadata(data: bytes, least: Size) -> NDArray[np.uint8]:
    try:
        return _turbo(bare_jpeg(data), least)
    except ValueError as error:
        raise damaged(data, "jpeg", str(error)) from error


def shrink(image: Image.Image, needed: Size | None) -> tuple[Image.Image, float]:
    """A loaded image as 8-bit L, LA, RGB, RGBA or CMYK, averaged by a whole factor; its scale."""
    plain = _plain(image)
    if not needed:
        return plain, 1.0
    factor = int(min(plain.width / needed.width, plain.height / needed.height) / MARGIN)
    if factor < 2:
        return plain, 1.0
    mode = plain.mode
    if mode in _PREMULTIPLIED:
        return plain.convert(_PREMULTIPLIED[mode]).reduce(factor).convert(mode), 1.0 / factor
    return plain.reduce(factor), 1.0 / factor


def _plain(image: Image.Image) -> Image.Image:
    """``image`` as L, LA, RGB, RGBA or CMYK with 8 bits a sample and transparency as alpha.

    Raises:
        DecodeError: ``unsupported_pixels``.

    """
    mode = image.mode
    if mode in _GREY_16:
        return _from_16_bit(image)
    if mode in {"I", "F", "LAB", "HSV"}:
        raise DecodeError(
            "unsupported_pixels",
            f"pixels of the kind {mode} (32-bit, floating-point or Lab) have no defined rendering",
            "convert the image to 8 or 16 bits a channel, grey or RGB",
        )
    if "transparency" in image.info and mode in {"1", "L", "RGB", "P"}:
        _as_8_bit_transparency(image)
        return image.convert("RGBA")
    if mode == "P":
        return image.convert(
            image.palette.mode if image.palette and image.palette.mode == "RGBA" else "RGB"
        )
    targets = {"1": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}
    return image.convert(targets[mode]) if mode in targets else image


def _from_16_bit(image: Image.Image) -> Image.Image:
    samples = np.asarray(image, dtype=np.uint32)
    bits = 16
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        bits = int(tags.get(258, (16,))[0])
    most = (1 << bits) - 1
    grey = ((samples * 255 + most // 2) // most).clip(0, 255).astype(np.uint8)
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        alpha = np.where(samples == hidden, 0, 255).astype(np.uint8)
        return Image.fromarray(np.dstack([grey, alpha]))
    return Image.fromarray(grey)


def _as_8_bit_transparency(image: Image.Image) -> None:
    # The transparent colour of a 16-bit RGB PNG is given in 16 bits, its pixels arrive in 8.
    hidden = image.info["transparency"]
    if isinstance(hidden, tuple) and max(hidden) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in hidden)


def _is_grey_or_cmyk(image: Image.Image | NDArray[np.uint8]) -> bool:
    return isinstance(image, Image.Image) and image.mode not in {"RGB", "RGBA"}


def _rgb(image: Image.Image | NDArray[np.uint8], icc: bytes | None) -> NDArray[np.uint8]:
    """Pixels (H, W, 3 or 4) in sRGB, by the profile where it fits, else by the plain formula."""
    if isinstance(image, np.ndarray):
        if icc is None or not color.fits(icc, "RGB"):
            return _grey_by_profile(image, icc) if icc and color.fits(icc, "L") else image
        if color.is_srgb(icc):
            return image
        return np.asarray(color.to_srgb(Image.fromarray(image), icc))
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    opaque = image.convert("L" if image.mode == "LA" else "RGB") if alpha else image
    if icc and opaque.mode == "L" and color.fits(icc, "RGB"):
        opaque = opaque.convert("RGB")
    if icc and not (opaque.mode == "RGB" and color.is_srgb(icc)):
        opaque = color.to_srgb(opaque, icc) or opaque
    if opaque.mode != "RGB":
        opaque = opaque.convert("RGB")
    if alpha:
        opaque.putalpha(alpha)
    return np.array(opaque)


def _grey_by_profile(pixels: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8]:
    converted = color.to_srgb(Image.fromarray(np.ascontiguousarray(pixels[..., 0])), icc)
    return pixels if converted is None else np.asarray(converted)
