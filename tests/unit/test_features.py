"""Hashes, colours, sharpness, entropy, edges, placeholder."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pytest
import thumbhash as reference_thumbhash
from PIL import Image

from pixfleet.workers.imaging.features import (
    dhash,
    dominant_colors,
    edge_density,
    entropy_bits,
    extract,
    phash,
    sharpness,
    working_copy,
)
from pixfleet.workers.imaging.placeholder import thumbhash

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.*g"))
ALL = (
    "phash",
    "dhash",
    "colors",
    "sharpness",
    "entropy",
    "edges",
    "faces",
    "saliency",
    "thumbhash",
)
FIELDS = {"entropy": "entropy_bits", "edges": "edge_density", "saliency": "saliency_png"}


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_hashes_equal_those_of_the_imagehash_package(path):
    pixels = working_copy(pixels_of(path))
    image = Image.fromarray(pixels)
    assert phash(pixels) == str(imagehash.phash(image))
    assert dhash(pixels) == str(imagehash.dhash(image))


@pytest.mark.parametrize("seed", range(4))
def test_the_hashes_agree_on_noise_and_gradients_too(seed):
    rng = np.random.default_rng(seed)
    pixels = cv2.resize(rng.integers(0, 256, (5, 7, 3), np.uint8), (90, 70))
    image = Image.fromarray(pixels)
    assert phash(pixels) == str(imagehash.phash(image))
    assert dhash(pixels) == str(imagehash.dhash(image))


def test_a_recompressed_copy_keeps_its_hash_and_another_picture_does_not():
    original, other = pixels_of(SAMPLES[0]), pixels_of(SAMPLES[1])
    out = io.BytesIO()
    Image.fromarray(original).resize((200, 200)).save(out, "JPEG", quality=50)
    copy = np.asarray(Image.open(out))

    def apart(one: str, two: str) -> int:
        return (int(one, 16) ^ int(two, 16)).bit_count()

    assert apart(phash(original), phash(copy)) <= 4
    assert apart(phash(original), phash(other)) >= 16


def test_dominant_colours_are_those_of_a_flag_by_their_areas():
    flag = np.zeros((60, 90, 3), np.uint8)
    flag[:, :45], flag[:, 45:72], flag[:, 72:] = (200, 16, 46), (255, 255, 255), (1, 33, 105)
    found = dominant_colors(flag)
    assert [share for _, share in found] == pytest.approx([0.5, 0.3, 0.2], abs=0.02)
    for (hex_colour, _), expected in zip(
        found, [(200, 16, 46), (255, 255, 255), (1, 33, 105)], strict=True
    ):
        assert (
            np.abs(np.array(list(bytes.fromhex(hex_colour[1:]))).astype(int) - expected).max() <= 2
        )


def test_dominant_colours_are_the_same_each_time_and_shares_sum_to_one():
    pixels = pixels_of(SAMPLES[1])
    found = dominant_colors(pixels)
    assert found == dominant_colors(pixels)
    assert sum(share for _, share in found) == pytest.approx(1, abs=0.001)


def test_invisible_pixels_have_no_colour():
    pixels = np.zeros((20, 20, 4), np.uint8)
    assert dominant_colors(pixels) == []
    pixels[:, :10] = (10, 200, 30, 255)
    assert [share for _, share in dominant_colors(pixels)] == [1.0]


def test_a_blurred_picture_is_less_sharp_and_has_fewer_edges():
    grey = cv2.cvtColor(pixels_of(SAMPLES[0]), cv2.COLOR_RGB2GRAY)
    soft = cv2.GaussianBlur(grey, (0, 0), 4)
    assert sharpness(soft) < sharpness(grey) / 10
    assert edge_density(soft) < edge_density(grey)
    assert sharpness(np.full((9, 9), 7, np.uint8)) == 0


@pytest.mark.parametrize(
    ("values", "bits"), [([7], 0), ([0, 255], 1), (range(4), 2), (range(256), 8)], ids=str
)
def test_entropy_counts_bits(values, bits):
    assert entropy_bits(np.repeat(np.array(values, np.uint8), 64).reshape(8, -1)) == bits


@pytest.mark.parametrize("name", ALL)
def test_only_what_was_asked_for_is_extracted(name):
    found, notes = extract(pixels_of(SAMPLES[0]), (name,))
    assert list(found) == [FIELDS.get(name, name)]
    assert not notes
    assert found[FIELDS.get(name, name)] is not None


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (700, 20)])
@pytest.mark.parametrize("channels", [3, 4])
def test_every_feature_can_be_had_of_the_smallest_images(size, channels):
    pixels = np.full((*size, channels), 200, np.uint8)
    found, _ = extract(pixels, ALL)
    assert found["faces"] == []
    assert found["colors"]
    assert found["entropy_bits"] == 0


def test_nothing_asked_nothing_found():
    assert extract(np.zeros((4, 4, 3), np.uint8), ()) == ({}, [])


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_thumbhash_equals_that_of_the_reference_port(path):
    with Image.open(path) as image:
        small = image.convert("RGBA").resize((24, round(24 * image.height / image.width)))
    expected = reference_thumbhash.rgba_to_thumb_hash(
        small.width, small.height, list(small.tobytes())
    )
    found = thumbhash(np.asarray(small))
    # Python rounds halves to even, the reference in JavaScript upwards.
    assert len(found) == len(expected)
    assert sum(one != other for one, other in zip(found, expected, strict=True)) <= 1


def test_a_thumbhash_of_a_picture_with_alpha_says_so():
    pixels = np.zeros((40, 60, 4), np.uint8)
    pixels[10:30, 10:50] = (250, 10, 10, 255)
    found = thumbhash(pixels)
    assert found[2] & 0x80
    red, green, blue, alpha = reference_thumbhash.thumb_hash_to_average_rgba(list(found))
    assert red > 0.8
    assert max(green, blue) < 0.25
    assert alpha == pytest.approx(20 * 40 / (40 * 60), abs=0.05)


def test_the_saliency_picture_is_a_small_grey_png():
    found, _ = extract(pixels_of(SAMPLES[0]), ("saliency",))
    with Image.open(io.BytesIO(base64.b64decode(found["saliency_png"]))) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        assert max(image.size) == 64
