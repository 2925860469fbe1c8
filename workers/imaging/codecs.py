"""The table of encoders: what makes which format, and what each cannot."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from PIL import features

from pixfleet.workers.errors import EncodeError

from . import avif, heic, jpeg, png, webp
from .codec import load
from .efforts import efforts_of
from .jxl import JpegXl, JpegXlImagePlugin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .codec import Codec

FORMATS: Final = ("jpeg", "webp", "avif", "jxl", "heic", "png")
ALPHA_FORMATS: Final = frozenset({"webp", "avif", "jxl", "heic", "png"})
ANIMATED_FORMATS: Final = frozenset({"webp", "avif", "png"})

_ANY_TARGET: Final = 75.0
_MAX_SIDE_PX: Final = {
    "jpeg": jpeg.MAX_SIDE_PX,
    "webp": webp.MAX_SIDE_PX,
    "avif": avif.MAX_SIDE_PX,
    "jxl": (1 << 30) - 1,
    "heic": heic.MAX_SIDE_PX,
    "png": png.MAX_SIDE_PX,
}


def lossy_codecs(format_name: str, effort: int, target: float) -> tuple[Codec, ...]:
    """The lossy encoders of a format, best first; a later one reaches what the earlier cannot.

    Args:
        format_name: as in ``FORMATS``, without "png".
        effort: in the encoder's own number (``efforts.efforts_of``).
        target: SSIMULACRA2 to be reached.

    Raises:
        EncodeError: ``encoder_missing``, no library here writes the format.
    """
    if format_name == "jpeg":
        return jpeg.jpeg_codecs()
    if format_name == "webp" and features.check("webp"):
        return (webp.WebP(effort),)
    if format_name == "avif" and features.check("avif"):
        return avif.avif_codecs(effort, target)
    if format_name == "jxl" and JpegXlImagePlugin is not None:
        return (JpegXl(effort),)
    if format_name == "heic" and heic.can_write_heic():
        return (heic.Heic(),)
    raise missing_encoder(format_name)


def animated_codec(format_name: str, target: float) -> webp.WebP | avif.Avif:
    """The lossy encoder of animations: WebP's or AVIF's.

    Raises:
        EncodeError: ``encoder_missing``.
    """
    if format_name == "webp" and features.check("webp"):
        return webp.WebP()
    if format_name == "avif" and features.check("avif"):
        return avif.avif_codecs(efforts_of(format_name)[0], target)[0]
    raise missing_encoder(format_name)


def decode_own(format_name: str, data: bytes) -> NDArray[np.uint8]:
    """A file that was made here, as browsers decode it: (H, W, 3), or (H, W, 4) with alpha."""
    return jpeg.decode_jpeg(data) if format_name == "jpeg" else load(data)


def missing_encoder(format_name: str) -> EncodeError:
    """``encoder_missing``, for a format that ``codec_versions`` does not have."""
    return EncodeError(
        "encoder_missing",
        f"no encoder for {format_name} is installed",
        "Install pixfleet[worker] on a platform with wheels for it, or drop the format.",
    )


def check_sides(format_name: str, width: int, height: int) -> None:
    """Refuse what the format cannot hold.

    Raises:
        EncodeError: ``format_side_limit``.
    """
    limit = _MAX_SIDE_PX[format_name]
    if max(width, height) > limit:
        raise EncodeError(
            "format_side_limit",
            f"{format_name} holds at most {limit} px a side; the image has {width}×{height}",
            "Choose a smaller size, or another format for this image.",
        )


@lru_cache(maxsize=1)
def codec_versions() -> dict[str, str]:
    """Format to encoder and version, of the formats that can be written here.

    A fallback in use shows as the encoder it is. Different bytes mean a different string, so it
    serves as part of a memo key.
    """
    versions: dict[str, str] = {}
    for name in FORMATS:
        if name == "png":
            versions[name] = png.palette_encoder() or png.ENCODER
            continue
        try:
            codecs = lossy_codecs(name, efforts_of(name)[0], _ANY_TARGET)
            versions[name] = codecs[0].encoder
        except EncodeError:
            continue
    return versions
