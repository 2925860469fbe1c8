"""Colour: ICC profiles to sRGB, backgrounds under alpha, hex colours."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPACES: Final = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
_SRGB: Final = ImageCms.createProfile("sRGB")
# Profiles written by different programs round sRGB's curve and primaries differently.
_SAME_WITHIN: Final = 2
_LATTICE_STEPS: Final = 9


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image | None:
    """``image`` (mode RGB, L or CMYK) as RGB in sRGB by its profile, by LittleCMS.

    Perceptual intent where the profile has tables for it, which else is relative colorimetric
    with black point compensation. None: the profile is broken or for another colour model.
    """
    transform = _transform(icc, image.mode)
    return ImageCms.applyTransform(image, transform) if transform else None


@lru_cache(maxsize=32)
def is_srgb(icc: bytes) -> bool:
    """Whether an RGB profile leaves colours where sRGB has them, within 2 of 255."""
    transform = _transform(icc, "RGB")
    if transform is None:
        return False
    steps = np.linspace(0, 255, _LATTICE_STEPS).round().astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    converted = ImageCms.applyTransform(Image.fromarray(lattice), transform)
    if converted is None:
        return False
    moved = np.abs(np.asarray(converted, dtype=np.int16) - lattice)
    return int(moved.max()) <= _SAME_WITHIN


@lru_cache(maxsize=32)
def fits(icc: bytes, mode: str) -> bool:
    """Whether the profile can be read and describes pixels of this mode."""
    return _transform(icc, mode) is not None


@lru_cache(maxsize=16)
def _transform(icc: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space: str = profile.profile.xcolor_space  # pyright: ignore[reportAttributeAccessIssue] (typed as a stream)
        if space.strip() != _SPACES[mode]:
            return None
        return ImageCms.buildTransform(
            profile,
            _SRGB,
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.PERCEPTUAL,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def rgb_of(hex_color: str) -> tuple[int, int, int]:
    """Red, green and blue, 0-255, of ``#rrggbb``."""
    red, green, blue = bytes.fromhex(hex_color.removeprefix("#"))
    return red, green, blue


def flatten(pixels: NDArray[np.uint8], background: tuple[int, int, int]) -> NDArray[np.uint8]:
    """(H, W, 4) straight alpha over an opaque ``background``: (H, W, 3); RGB is returned as it is.

    Mixed in encoded values, as browsers do.
    """
    if pixels.shape[2] == 3:
        return pixels
    alpha = cv2.merge([pixels[..., 3]] * 3).astype(np.float32) / 255.0
    under = np.asarray(background, dtype=np.float32)
    mixed = pixels[..., :3].astype(np.float32) * alpha + under * (1.0 - alpha)
    return np.rint(mixed).astype(np.uint8)
