"""Scaling: how close to exact Lanczos, what alpha does, how a pyramid is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixfleet.workers.imaging.geometry import Size, place
from pixfleet.workers.imaging.lanczos import taps
from pixfleet.workers.imaging.resize import pyramid, resize

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    with Image.open(SAMPLES / "kodim23.png") as image:
        return np.asarray(image.convert("RGB"))


def exact(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(float) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.parametrize("width", [760, 600, 500, 384, 300, 192, 128, 64, 17])
def test_a_reduction_is_within_43_db_of_exact_lanczos(photo, width):
    source = Size(768, 512)
    placement = place(source, width=width, height=None, fit="fit")
    result = resize(photo, placement)
    assert result.shape == (*placement.size[::-1], 3)
    assert psnr_db(result, exact(photo, placement.size)) > 43


def test_a_pyramid_from_one_decode_is_as_good_as_each_size_from_the_source(photo):
    source = Size(768, 512)
    widths = [90, 640, 320, 180]
    placements = [place(source, width=width, height=None, fit="fit") for width in widths]
    made = list(pyramid(photo, placements))
    assert [index for index, _ in made] == [1, 2, 3, 0]
    for index, result in made:
        assert psnr_db(result, exact(photo, placements[index].size)) > 42


@pytest.mark.parametrize("ratio", [1.5, 2.0, 2.64, 3.9])
def test_the_taps_are_symmetric_sum_to_one_and_suppress_what_would_alias(ratio):
    kernel = taps(ratio)
    assert len(kernel) % 2 == 1
    assert np.allclose(kernel, kernel[::-1], atol=1e-6)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    position = np.arange(len(kernel)) - len(kernel) // 2
    aliasing = np.linspace(0.85 / ratio, 0.5, 50) if ratio > 1.7 else np.array([0.5])
    response = np.cos(2 * np.pi * np.outer(aliasing, position)) @ kernel
    assert np.abs(response).max() < 0.2


def test_a_checkerboard_reduces_to_grey_without_moire():
    board = np.indices((512, 512)).sum(axis=0) % 2 * 255
    pixels = np.dstack([board] * 3).astype(np.uint8)
    placement = place(Size(512, 512), width=150, height=150, fit="fit")
    assert np.abs(resize(pixels, placement)[4:-4, 4:-4].astype(int) - 128).max() <= 4


def test_hidden_colours_do_not_bleed_into_visible_ones():
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :32] = (255, 0, 0, 255)
    pixels[:, 32:] = (0, 255, 0, 0)
    result = resize(pixels, place(Size(64, 64), width=16, height=16, fit="fit"))
    visible = result[..., 3] > 8
    assert visible.any()
    assert result[visible][:, 1].max() <= 4
    linear = resize(pixels, place(Size(64, 64), width=16, height=16, fit="fit"), linear_light=True)
    assert linear[linear[..., 3] > 8][:, 1].max() <= 4


def test_linear_light_gives_a_fine_pattern_its_true_brightness():
    lines = np.zeros((64, 64, 3), np.uint8)
    lines[::2] = 255
    placement = place(Size(64, 64), width=8, height=8, fit="fit")
    assert abs(int(resize(lines, placement)[4, 4, 0]) - 128) <= 4
    assert abs(int(resize(lines, placement, linear_light=True)[4, 4, 0]) - 188) <= 4


def test_padding_is_the_background_around_the_untouched_image(photo):
    placement = place(Size(768, 512), width=300, height=300, fit="pad")
    result = resize(photo, placement, background=(1, 2, 3))
    assert result.shape == (300, 300, 3)
    assert (result[:50] == (1, 2, 3)).all()
    assert (result[250:] == (1, 2, 3)).all()
    assert psnr_db(result[50:250], exact(photo, (300, 200))) > 45


def test_padding_under_alpha_is_opaque():
    pixels = np.full((20, 40, 4), (9, 9, 9, 0), np.uint8)
    result = resize(pixels, place(Size(40, 20), width=40, height=40, fit="pad"))
    assert result[0, 0].tolist() == [255, 255, 255, 255]
    assert result[20, 20, 3] == 0


def test_a_crop_is_cut_out_pixel_for_pixel(photo):
    placement = place(Size(768, 512), width=100, height=60, fit="crop")
    assert np.array_equal(resize(photo, placement), photo[226:286, 334:434])


def test_a_fill_shows_the_same_part_whatever_the_decode_scale(photo):
    source = Size(768, 512)
    placement = place(source, width=100, height=100, fit="fill")
    half = exact(photo, (384, 256))
    whole = resize(photo, placement)
    assert whole.shape == (100, 100, 3)
    assert psnr_db(resize(half, placement, scale=0.5), whole) > 35
    assert psnr_db(whole, exact(photo[:, 128:640], (100, 100))) > 45


def test_an_image_of_the_right_size_is_not_touched(photo):
    result = resize(photo, place(Size(768, 512), width=768, height=None, fit="fit"))
    assert np.array_equal(result, photo)


def test_an_image_is_enlarged_only_when_asked(photo):
    small = photo[:64, :64]
    grown = resize(small, place(Size(64, 64), width=128, height=128, fit="fit", enlarge=True))
    assert grown.shape == (128, 128, 3)
    assert resize(small, place(Size(64, 64), width=128, height=128, fit="fit")).shape == (64, 64, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2, 3)])
def test_the_thinnest_images_survive_any_reduction(size):
    pixels = np.full((size[1], size[0], 3), 77, np.uint8)
    result = resize(pixels, place(Size(*size), width=1, height=1, fit="fill"))
    assert result.tolist() == [[[77, 77, 77]]]
    result = resize(pixels, place(Size(*size), width=50, height=50, fit="fit"))
    assert (result == 77).all()
