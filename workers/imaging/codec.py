"""What every encoder here is: pixels and a quality in, bytes out, and back."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from PIL import Image, ImageSequence

from pixfleet.workers.errors import EncodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

EXIF_PREFIX: Final = b"Exif\0\0"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is embedded beside the pixels.

    Attributes:
        icc: the profile the pixels are in; None for sRGB, which is embedded nowhere.
        exif: a TIFF-structured EXIF block without orientation, with or without ``EXIF_PREFIX``.
    """

    icc: bytes | None = None
    exif: bytes | None = None

    @property
    def prefixed_exif(self) -> bytes | None:
        """The EXIF block beginning with ``EXIF_PREFIX``, as JPEG and Pillow want it."""
        if not self.exif or self.exif.startswith(EXIF_PREFIX):
            return self.exif or None
        return EXIF_PREFIX + self.exif

    @property
    def pillow(self) -> dict[str, Any]:
        """As keyword arguments of ``Image.save``."""
        fields = {"icc_profile": self.icc, "exif": self.prefixed_exif}
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class QualityScale:
    """The quality numbers of one encoder, and what they mean on an average photograph.

    Attributes:
        qualities: those worth asking for, ascending, each with bytes of its own.
        typical: (quality, 100 - SSIMULACRA2) points of the median image, quality ascending.
        predictor: weights of ``texture.Texture`` (see there) giving the logarithm of how much
            more than the median image this one is distorted.
        near: how far above its target a score ends the search; less where a probe is cheap.
    """

    qualities: tuple[float, ...]
    typical: tuple[tuple[float, float], ...]
    predictor: tuple[float, ...]
    near: float = 1.0


class Codec(Protocol):
    """A lossy encoder with a quality; one thread, no state."""

    @property
    def format(self) -> str:
        """The format's name in requests."""
        ...

    @property
    def encoder(self) -> str:
        """Library, version and settings, as recorded beside a variant."""
        ...

    @property
    def scale(self) -> QualityScale:
        """Its quality numbers."""
        ...

    def encode(self, pixels: Pixels, quality: float, metadata: Metadata) -> bytes:
        """Bytes that decode to the final pixels; perhaps not yet the final bytes."""
        ...

    def decode(self, data: bytes) -> Pixels:
        """(H, W, 3) or (H, W, 4) uint8 of what ``encode`` returned."""
        ...

    def finish(self, data: bytes, metadata: Metadata) -> bytes:
        """The final bytes of ``data``: the same pixels, in the fewest bytes."""
        ...


def refused(encoder: str, error: Exception) -> EncodeError:
    """The one translation of whatever an encoder raises."""
    return EncodeError(
        "encoder_failed",
        f"{encoder}: {type(error).__name__}: {error}",
        "Ask for another format, or report the image with this message.",
    )


def save(
    picture: Pixels | Image.Image, pillow_format: str, metadata: Metadata, **options: Any
) -> bytes:
    """Encode through Pillow.

    Raises:
        EncodeError: ``encoder_failed``, with Pillow's own words.
    """
    buffer = io.BytesIO()
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    try:
        image.save(buffer, pillow_format, **metadata.pillow, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise refused(f"Pillow {pillow_format}", error) from error
    return buffer.getvalue()


def load(data: bytes) -> Pixels:
    """Decode our own output through Pillow: (H, W, 3), or (H, W, 4) where it carries alpha."""
    with Image.open(io.BytesIO(data)) as image:
        return _pixels(image)


def _pixels(image: Image.Image) -> Pixels:
    mode = "RGBA" if image.has_transparency_data else "RGB"
    # Even to its own mode, convert copies.
    return np.asarray(image if image.mode == mode else image.convert(mode))


def load_frame(data: bytes, at_ms: int) -> Pixels:
    """What our own animation shows ``at_ms`` after its start, as ``load`` gives it.

    By time and not by number, because encoders merge frames that are alike.
    """
    with Image.open(io.BytesIO(data)) as image:
        elapsed_ms = 0
        for _ in ImageSequence.Iterator(image):
            image.load()
            elapsed_ms += image.info["duration"]
            if elapsed_ms > at_ms:
                break
        return _pixels(image)
