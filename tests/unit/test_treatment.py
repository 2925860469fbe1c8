from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixfleet.workers.imaging.codec import Metadata
from pixfleet.workers.imaging.jpeg import jpeg_codecs
from pixfleet.workers.imaging.regions import depth
from pixfleet.workers.imaging.requantise import Coefficients
from pixfleet.workers.imaging.treatment import treatment_of
from pixfleet.workers.imaging.waves import STRONGEST, FaintWaves
from pixfleet.workers.imaging.webp import WebP

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    with Image.open(SAMPLES / "chelsea.png") as image:
        return np.asarray(image.convert("RGB"))[:203, :301].copy()


@pytest.fixture(scope="module")
def deep(photograph) -> np.ndarray:
    region = np.zeros(photograph.shape[:2], bool)
    region[60:140, 100:200] = True
    return depth(region)


@pytest.mark.parametrize("side_px", [4, 8])
def test_the_region_keeps_every_pixel(photograph, deep, side_px):
    mixed = FaintWaves(photograph, deep, side_px).without(STRONGEST)
    assert np.array_equal(mixed[deep == 0], photograph[deep == 0])
    assert np.abs(mixed[deep == 1].astype(int) - photograph[deep == 1]).mean() > 1


@pytest.mark.parametrize("side_px", [4, 8])
def test_no_strength_changes_nothing(photograph, deep, side_px):
    assert np.array_equal(FaintWaves(photograph, deep, side_px).without(0.0), photograph)


def test_grain_goes_and_an_edge_stays():
    rng = np.random.default_rng(3)
    image = np.full((96, 96, 3), 70, np.float64)
    image[:, 50:] = 190
    image += rng.normal(0, 3, (96, 96, 1))
    before = image.round().clip(0, 255).astype(np.uint8)
    after = FaintWaves(before, np.ones((96, 96), np.float32), 8).without(30.0).astype(float)
    assert after[:, :40].std() < 0.6 * before[:, :40].std()
    assert np.abs(after[:, 49].mean() - after[:, 50].mean()) > 110


def test_a_smooth_slope_keeps_its_slow_waves():
    slope = np.repeat(np.linspace(60, 200, 128)[None], 64, axis=0)
    image = np.repeat(slope[..., None], 3, axis=2).round().astype(np.uint8)
    after = FaintWaves(image, np.ones((64, 128), np.float32), 8).without(40.0)
    assert np.abs(after.astype(int) - image).max() <= 1


def test_transparency_is_passed_through(photograph, deep):
    alpha = np.arange(203 * 301, dtype=np.uint8).reshape(203, 301, 1)
    pixels = np.concatenate([photograph, alpha], axis=2)
    mixed = FaintWaves(pixels, deep, 4).without(25.0)
    assert np.array_equal(mixed[..., 3], pixels[..., 3])
    assert not np.array_equal(mixed[..., :3], pixels[..., :3])


@pytest.mark.parametrize(
    ("codec", "strengths"),
    [
        pytest.param(jpeg_codecs()[0], (0.0, 0.2, 0.8, 3.0), id="jpeg"),
        pytest.param(WebP(2), (0.0, 5.0, 20.0, 80.0), id="webp"),
    ],
)
def test_a_stronger_treatment_takes_fewer_bytes(photograph, deep, codec, strengths):
    treatment = treatment_of(codec, photograph, deep, Metadata())
    sizes = [len(treatment.encode(85, strength)) for strength in strengths]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.9 * sizes[0]
    assert sizes[0] == pytest.approx(len(codec.encode(photograph, 85, Metadata())), rel=0.02)


def test_requantising_leaves_the_region_and_every_mean_alone(photograph, deep):
    codec = jpeg_codecs()[0]
    treatment = treatment_of(codec, photograph, deep, Metadata())
    before = Coefficients(codec.encode(photograph, 85, Metadata())).planes["Y"]
    after = Coefficients(treatment.encode(85, 2.0)).planes["Y"]
    assert np.array_equal(before[..., 0, 0], after[..., 0, 0])
    assert np.array_equal(before[8:17, 13:25], after[8:17, 13:25])
    assert np.count_nonzero(after) < 0.8 * np.count_nonzero(before)
    assert not after[before == 0].any()


def test_a_requantised_jpeg_is_one_that_any_decoder_reads(photograph, deep):
    codec = jpeg_codecs()[0]
    treatment = treatment_of(codec, photograph, deep, Metadata())
    data = codec.finish(treatment.encode(80, 1.0), Metadata())
    with Image.open(io.BytesIO(data)) as image:
        assert np.abs(np.asarray(image).astype(int) - codec.decode(data)).mean() < 1
        assert image.info["progressive"]
