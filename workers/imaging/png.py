"""PNG: exact, or through a palette of imagequant's choosing."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import PIL
from PIL import Image

from .codec import Metadata, load, refused, save

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

try:
    import imagequant
except ImportError:  # no wheel for this platform
    imagequant = None

MAX_SIDE_PX: Final = (1 << 31) - 1
ENCODER: Final = f"pillow {PIL.__version__} PNG"
COLOURS: Final = (256, 128, 64, 32)
"""Palette sizes worth trying: below 16 colours nothing passes that an exact palette misses."""


def has_few_colours(pixels: Pixels) -> bool:
    """At most 256, so that a palette holds them all."""
    return Image.fromarray(pixels).getcolors(256) is not None


def lossless_png(pixels: Pixels, metadata: Metadata) -> bytes:
    """PNG of exactly these pixels: grey where they are grey, a palette where 256 colours do."""
    image = Image.fromarray(pixels)
    if pixels.shape[2] == 3 and bool((pixels == pixels[..., :1]).all()):
        image = image.getchannel(0)
    elif image.getcolors(256) is not None:
        return _paletted_exactly(pixels, metadata)
    return save(np.asarray(image), "PNG", metadata, optimize=True)


def _paletted_exactly(pixels: Pixels, metadata: Metadata) -> bytes:
    height, width, channels = pixels.shape
    colours, index = np.unique(pixels.reshape(-1, channels), axis=0, return_inverse=True)
    image = Image.frombytes("P", (width, height), index.astype(np.uint8).tobytes())
    return _save_palette(image, colours, metadata)


def _save_palette(image: Image.Image, colours: Pixels, metadata: Metadata) -> bytes:
    image.putpalette(colours[:, :3].tobytes(), "RGB")
    options = {"transparency": colours[:, 3].tobytes()} if colours.shape[1] == 4 else {}
    return save(image, "PNG", metadata, optimize=True, **options)


def palette_encoder() -> str | None:
    """The quantiser's name, or None where there is none and PNG is always exact."""
    return f"imagequant {version('imagequant')} + {ENCODER}" if imagequant else None


def palette_png(pixels: Pixels, colours: int, metadata: Metadata) -> bytes:
    """PNG in at most ``colours`` (2 to 256) colours, dithered; alpha becomes part of the palette.

    Raises:
        EncodeError: ``encoder_failed``.
    """
    opaque = pixels.shape[2] == 3
    rgba = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA) if opaque else pixels
    height, width = pixels.shape[:2]
    try:
        index, flat = imagequant.quantize_raw_rgba_bytes(
            rgba.tobytes(), width, height, max_colors=colours
        )
    except (RuntimeError, ValueError) as error:
        raise refused("imagequant", error) from error
    palette = np.array(flat, np.uint8).reshape(-1, 4)
    image = Image.frombytes("P", (width, height), index)
    return _save_palette(image, palette[:, : pixels.shape[2]], metadata)


decode_png = load
