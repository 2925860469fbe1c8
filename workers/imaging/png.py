"""PNG: exact, or through a palette of imagequant's choosing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import PIL
from PIL import Image

from .codec import Metadata, refused, save

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

_quantised: Any = None
with suppress(ImportError):  # no wheel for this platform
    from imagequant import quantize_raw_rgba_bytes as _quantised

MAX_SIDE_PX: Final = (1 << 31) - 1
ENCODER: Final = f"pillow {PIL.__version__} PNG"


def has_few_colours(pixels: Pixels) -> bool:
    """At most 256, so that a palette holds them all."""
    return Image.fromarray(pixels).getcolors(256) is not None


def lossless_png(pixels: Pixels, metadata: Metadata) -> bytes:
    """PNG of exactly these pixels: grey where they are grey, a palette where 256 colours do."""
    image = Image.fromarray(pixels)
    if pixels.shape[2] == 3 and bool((pixels == pixels[..., :1]).all()):
        image = image.getchannel(0)
    elif image.getcolors(256) is not None:
        return _paletted_exactly(pixels).png(metadata)
    return save(np.asarray(image), "PNG", metadata, optimize=True)


def _paletted_exactly(pixels: Pixels) -> Paletted:
    rgba = pixels if pixels.shape[2] == 4 else cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)
    packed = np.ascontiguousarray(rgba).view(np.uint32)[..., 0]
    values, index = np.unique(packed, return_inverse=True)
    colours = values.view(np.uint8).reshape(-1, 4)[:, : pixels.shape[2]]
    return Paletted(index.astype(np.uint8).reshape(packed.shape), np.ascontiguousarray(colours))


@dataclass(frozen=True, slots=True)
class Paletted:
    """An image in few colours.

    Attributes:
        index: (H, W) uint8 into ``colours``.
        colours: (N, 3) sRGB or (N, 4) straight-alpha sRGB, uint8, N at most 256.
    """

    index: Pixels
    colours: Pixels

    @property
    def pixels(self) -> Pixels:
        """(H, W, 3) or (H, W, 4) uint8: what its PNG decodes to."""
        return self.colours[self.index]

    def png(self, metadata: Metadata) -> bytes:
        """As a PNG of 1, 2, 4 or 8 bits a pixel."""
        image = Image.fromarray(self.index)
        image.putpalette(self.colours[:, :3].tobytes(), "RGB")
        alpha = self.colours.shape[1] == 4
        options = {"transparency": self.colours[:, 3].tobytes()} if alpha else {}
        return save(image, "PNG", metadata, optimize=True, **options)


def palette_encoder() -> str | None:
    """The quantiser's name, or None where there is none and PNG is always exact."""
    return f"imagequant {version('imagequant')} + {ENCODER}" if _quantised else None


def paletted(pixels: Pixels, colours: int) -> Paletted:
    """The image dithered to at most ``colours`` (2 to 256); alpha becomes part of the palette.

    Raises:
        EncodeError: ``encoder_failed``.
    """
    height, width, channels = pixels.shape
    rgba = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA) if channels == 3 else pixels
    try:
        index, flat = _quantised(rgba.tobytes(), width, height, max_colors=colours)
    except (RuntimeError, ValueError) as error:
        raise refused("imagequant", error) from error
    palette = np.array(flat, np.uint8).reshape(-1, 4)[:, :channels]
    return Paletted(np.frombuffer(index, np.uint8).reshape(height, width), palette)
