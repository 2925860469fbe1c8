"""Small pictures for many jobs, each with bytes of its own."""

from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image

from tests.chaos.bootstrap.telling_px import DEADLY_PX, GATED_PX, SLOW_PX


def photo(rng: random.Random, size: tuple[int, int] = (240, 180)) -> bytes:
    """A JPEG of soft shapes with a little noise, as cameras see things."""
    width, height = size
    noise = np.random.default_rng(rng.getrandbits(32))
    coarse = Image.fromarray(noise.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    grain = noise.integers(-6, 7, (height, width, 1), dtype=np.int16)
    return _saved(Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)), "JPEG")


def slow(rng: random.Random, seconds: float) -> bytes:
    """A TIFF that a worker under test decodes for so long, using no CPU."""
    return _strip(rng, round(seconds * 1000), SLOW_PX)


def gated(rng: random.Random) -> bytes:
    """A TIFF whose decoding waits for the gate of the worker under test."""
    return _strip(rng, 300, GATED_PX)


def deadly() -> bytes:
    """A TIFF that ends the process of the worker under test that decodes it."""
    return _strip(random.Random(0), 300, DEADLY_PX)


def _strip(rng: random.Random, width: int, height: int) -> bytes:
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    for row in range(height):
        image.putpixel((0, row), (rng.randrange(256), rng.randrange(256), rng.randrange(256)))
    return _saved(image, "TIFF")


def _saved(image: Image.Image, image_format: str) -> bytes:
    out = io.BytesIO()
    image.save(out, image_format)
    return out.getvalue()
