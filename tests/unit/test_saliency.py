"""Saliency maps and the windows that are cut by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixfleet.workers.imaging.faces import FaceBox, find_faces
from pixfleet.workers.imaging.geometry import Size, place
from pixfleet.workers.imaging.saliency import best_window, saliency

SAMPLES = Path(__file__).parents[2] / "samples"
FACE = FaceBox(0.7, 0.1, 0.2, 0.3, 0.9)


def with_texture(x: int) -> np.ndarray:
    """A flat 400 x 100 picture with one noisy patch."""
    pixels = np.full((100, 400, 3), 120, np.uint8)
    pixels[20:80, x : x + 60] = np.random.default_rng(1).integers(0, 256, (60, 60, 3))
    return pixels


def test_a_map_is_at_most_256_px_long_and_between_0_and_1():
    result = saliency(with_texture(50), [FACE])
    assert result.shape == (64, 256)
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1


def test_faces_outrank_detail_and_detail_outranks_the_smooth():
    result = saliency(with_texture(50), [FACE])
    face, detail, smooth = result[16, 205], result[30, 50], result[30, 130]
    assert face > 0.95
    assert 0.3 < detail < 0.8
    assert smooth < 0.05


def test_a_flat_picture_has_nothing_salient():
    assert saliency(np.full((50, 50, 3), 200, np.uint8), []).max() == 0


def test_hidden_detail_is_not_salient():
    pixels = np.dstack([with_texture(50), np.zeros((100, 400), np.uint8)])
    assert saliency(pixels, []).max() < 0.01


@pytest.mark.parametrize("x", [0, 50, 170, 250, 340])
def test_the_best_window_holds_the_texture_wherever_it_is(x):
    focus = best_window(saliency(with_texture(x), []), Size(400, 100), Size(100, 100))
    left, _, width, _ = place(
        Size(400, 100), width=100, height=100, fit="smart", focus=focus
    ).window
    assert left <= x + 3
    assert left + width >= x + 57


def test_a_smart_crop_of_the_astronaut_keeps_the_whole_face():
    with Image.open(SAMPLES / "astronaut.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    (face,) = find_faces(pixels)
    source = Size(512, 512)
    for box in (Size(100, 300), Size(300, 100), Size(200, 150)):
        focus = best_window(saliency(pixels, [face]), source, box)
        x, y, width, height = place(
            source, width=box.width, height=box.height, fit="smart", focus=focus
        ).window
        middle = ((face.x + face.width / 2) * 512, (face.y + face.height / 2) * 512)
        assert x <= middle[0] <= x + width
        assert y <= middle[1] <= y + height


def test_where_nothing_stands_out_the_window_is_central():
    flat = np.zeros((100, 256), np.float32)
    assert best_window(flat, Size(2560, 1000), Size(500, 500)) == pytest.approx(
        (0.5, 0.5), abs=0.01
    )
