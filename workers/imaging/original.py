"""The pixels to be encoded, with what all candidates share about them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from .codecs import ALPHA_FORMATS
from .lessons import Lessons
from .ssimulacra2 import Reference
from .texture import Texture, texture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


class Original:
    """One image and, computed when first asked for, its references and texture.

    Args:
        pixels: (H, W, 3) sRGB or (H, W, 4) straight-alpha uint8; full opacity everywhere counts as
            no alpha.
        background: sRGB under the alpha for formats without one.

        lessons: of the same image at other sizes; none for the first.

    Attributes:
        lessons: what the searches so far learned of the image.
    """

    def __init__(
        self,
        pixels: Pixels,
        background: tuple[int, int, int],
        lessons: Lessons | None = None,
    ) -> None:
        opaque = pixels.shape[2] == 4 and bool((pixels[..., 3] == 255).all())
        self.pixels: Pixels = np.ascontiguousarray(pixels[..., :3] if opaque else pixels)
        self.height, self.width = pixels.shape[:2]
        self.alpha = self.pixels.shape[2] == 4
        self.lessons = lessons or Lessons()
        self._background = background

    @cached_property
    def flat(self) -> Pixels:
        """(H, W, 3): on the background where there is alpha."""
        return flattened(self.pixels, self._background)

    @cached_property
    def reference(self) -> Reference:
        """For candidates that keep alpha."""
        return Reference(self.pixels)

    @cached_property
    def flat_reference(self) -> Reference:
        """For candidates on the background."""
        return Reference(self.flat) if self.alpha else self.reference

    def flattens(self, format_name: str) -> bool:
        """The format has no room for the image's alpha."""
        return self.alpha and format_name not in ALPHA_FORMATS

    def pixels_for(self, format_name: str) -> Pixels:
        """What a format is given to encode."""
        return self.flat if self.flattens(format_name) else self.pixels

    def reference_for(self, format_name: str) -> Reference:
        """What a format's candidates are scored against."""
        return self.flat_reference if self.flattens(format_name) else self.reference

    @cached_property
    def texture(self) -> Texture:
        """Of the flat pixels."""
        return texture(self.flat)

    @property
    def graphic(self) -> bool:
        """Worth lossless and palette candidates."""
        return self.alpha or self.texture.graphic


def flattened(pixels: Pixels, background: tuple[int, int, int]) -> Pixels:
    """``pixels`` composited in sRGB values on ``background``: (H, W, 3) uint8.

    Args:
        pixels: (H, W, 3), returned as they are, or (H, W, 4) with straight alpha.
        background: sRGB, 0 to 255 each.
    """
    if pixels.shape[2] == 3:
        return pixels
    alpha = cv2.cvtColor(pixels[..., 3], cv2.COLOR_GRAY2RGB)
    over = cv2.multiply(pixels[..., :3], alpha, scale=1 / 255, dtype=cv2.CV_32F)
    under = cv2.multiply(
        cv2.bitwise_not(alpha),
        np.array((*background, 0), np.float64),
        scale=1 / 255,
        dtype=cv2.CV_32F,
    )
    return np.rint(over + under).astype(np.uint8)
