"""JPEG: jpegli's quantisation, mozjpeg's lossless optimisation, our own markers."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import simplejpeg
from PIL import ImageFile

from .codec import Metadata, QualityScale, refused, save
from .quality_scales import JPEG, JPEG_FULL_CHROMA, JPEGLI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

_jpegli: Any = None
with suppress(ImportError):  # no wheel for this platform
    from pyjpegli import encode as _jpegli
try:
    import mozjpeg_lossless_optimization as mozjpeg
except ImportError:  # no wheel for this platform
    mozjpeg = None

MAX_SIDE_PX: Final = 65_535
_ICC_CHUNK_BYTES: Final = 65_519
_APP0, _APP1, _APP2 = 0xE0, 0xE1, 0xE2

# Pillow encodes an optimised JPEG into one block of this size and calls a larger one broken.
_PILLOW_BLOCK_BYTES: Final = 1 << 24


@lru_cache(maxsize=8)
def _versioned(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


@dataclass(frozen=True, slots=True)
class Jpegli:
    """jpegli (4:2:0, baseline) made progressive and optimal without touching a coefficient."""

    format: str = "jpeg"
    scale: QualityScale = JPEGLI

    @property
    def encoder(self) -> str:
        """As in ``codec.Codec``."""
        optimiser = f" + {_versioned('mozjpeg-lossless-optimization')}" if mozjpeg else ""
        return _versioned("pyjpegli") + optimiser

    def encode(self, pixels: Pixels, quality: float, metadata: Metadata) -> bytes:  # noqa: ARG002 (the markers come with finish)
        """As in ``codec.Codec``."""
        height, width = pixels.shape[:2]
        try:
            return _jpegli(np.ascontiguousarray(pixels), width, height, round(quality))
        except (ValueError, RuntimeError) as error:
            raise refused(self.encoder, error) from error

    def decode(self, data: bytes) -> Pixels:
        """As in ``codec.Codec``."""
        return decode_jpeg(data)

    def finish(self, data: bytes, metadata: Metadata) -> bytes:
        """As in ``codec.Codec``."""
        return with_markers(_optimised(data), metadata)


@dataclass(frozen=True, slots=True)
class PillowJpeg:
    """libjpeg-turbo through Pillow: where jpegli has no wheel, and for full chroma.

    Attributes:
        subsampling: "4:2:0" or "4:4:4".
    """

    subsampling: str = "4:2:0"
    format: str = "jpeg"
    scale: QualityScale = JPEG

    @property
    def encoder(self) -> str:
        """As in ``codec.Codec``."""
        optimiser = f" + {_versioned('mozjpeg-lossless-optimization')}" if mozjpeg else ""
        return f"{_versioned('pillow')} JPEG {self.subsampling}{optimiser}"

    def encode(self, pixels: Pixels, quality: float, metadata: Metadata) -> bytes:  # noqa: ARG002 (the markers come with finish)
        """As in ``codec.Codec``."""
        return pillow_jpeg(pixels, round(quality), self.subsampling, optimised=mozjpeg is None)

    def decode(self, data: bytes) -> Pixels:
        """As in ``codec.Codec``."""
        return decode_jpeg(data)

    def finish(self, data: bytes, metadata: Metadata) -> bytes:
        """As in ``codec.Codec``."""
        return with_markers(_optimised(data), metadata)


def jpeg_codecs() -> tuple[Jpegli | PillowJpeg, ...]:
    """Best first; a later one is for what the earlier cannot reach (4:2:0 caps saturated edges)."""
    first = Jpegli() if _jpegli else PillowJpeg()
    return (first, PillowJpeg(subsampling="4:4:4", scale=JPEG_FULL_CHROMA))


def pillow_jpeg(pixels: Pixels, quality: int, subsampling: str, *, optimised: bool) -> bytes:
    """libjpeg-turbo's file through Pillow, without metadata; ``optimised``: and progressive.

    Raises:
        EncodeError: ``encoder_failed``.
    """
    ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, _PILLOW_BLOCK_BYTES)
    return save(
        pixels,
        "JPEG",
        Metadata(),
        quality=quality,
        subsampling=subsampling,
        optimize=optimised,
        progressive=optimised,
    )


def decode_jpeg(data: bytes) -> Pixels:
    """(H, W, 3) uint8 by libjpeg-turbo's accurate DCT and fancy upsampling, the browsers' way."""
    return simplejpeg.decode_jpeg(data, colorspace="RGB", fastdct=False, fastupsample=False)


def _optimised(data: bytes) -> bytes:
    if mozjpeg is None:
        return data
    try:
        return mozjpeg.optimize(data)
    except ValueError as error:
        raise refused("mozjpeg-lossless-optimization", error) from error


def with_markers(data: bytes, metadata: Metadata) -> bytes:
    """The JPEG with EXIF (APP1) and ICC (APP2, in chunks) behind its JFIF header.

    JFIF 1.02 wants APP0 first; ICC.1:2022 annex B.4 numbers the chunks from 1.
    """
    segments = list(_segments(metadata))
    if not segments:
        return data
    at = 2
    if data[2:4] == bytes([0xFF, _APP0]):
        at += 2 + int.from_bytes(data[4:6], "big")
    return data[:at] + b"".join(segments) + data[at:]


def _segments(metadata: Metadata) -> Iterator[bytes]:
    if metadata.prefixed_exif:
        yield _segment(_APP1, metadata.prefixed_exif)
    icc = metadata.icc or b""
    chunks = [icc[i : i + _ICC_CHUNK_BYTES] for i in range(0, len(icc), _ICC_CHUNK_BYTES)]
    for number, chunk in zip(count(1), chunks, strict=False):
        yield _segment(_APP2, b"ICC_PROFILE\0" + bytes([number, len(chunks)]) + chunk)


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
