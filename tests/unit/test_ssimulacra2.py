from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixfleet.workers.imaging import bands
from pixfleet.workers.imaging.region_score import RegionScorer
from pixfleet.workers.imaging.ssimulacra2 import MIN_SIDE_PX, Reference

ROOT = Path(__file__).parents[2]
PAIRS = ROOT / "tests" / "data" / "ssimulacra2"
with (PAIRS / "scores.tsv").open() as file:
    SCORES = list(csv.DictReader(file, delimiter="\t"))


def rgb(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@lru_cache
def reference(name: str) -> Reference:
    return Reference(rgb(ROOT / "samples" / name))


@lru_cache
def cat(height: int, width: int) -> np.ndarray:
    return rgb(ROOT / "samples" / "chelsea.png")[40 : 40 + height, 60 : 60 + width]


def noisy(pixels: np.ndarray, amount: float) -> np.ndarray:
    noise = np.random.default_rng(7).normal(0, amount, pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("pair", SCORES, ids=[pair["distorted"] for pair in SCORES])
def test_the_score_is_that_of_the_authors_program(pair):
    expected = float(pair["ssimulacra2"])
    score = reference(pair["reference"]).score(rgb(PAIRS / pair["distorted"]))
    assert score == pytest.approx(expected, abs=0.3 if expected >= 50 else 0.5)


def test_all_thirty_two_pairs_are_checked():
    assert len(SCORES) == 32


SIZES = [(1, 1), (1, 40), (40, 1), (7, 7), (8, 8), (63, 65), (224, 225), (255, 301)]


@pytest.mark.parametrize("size", SIZES, ids=[f"{w}x{h}" for h, w in SIZES])
def test_an_image_is_identical_to_itself_at_any_size(size):
    pixels = cat(*size)
    assert Reference(pixels).score(pixels) == 100.0


@pytest.mark.parametrize("size", SIZES[1:], ids=[f"{w}x{h}" for h, w in SIZES[1:]])
def test_more_noise_scores_less_at_any_size(size):
    pixels = cat(*size)
    original = Reference(pixels)
    scores = [original.score(noisy(pixels, amount)) for amount in (2, 6, 18)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] < 100


def test_a_small_crop_scores_about_what_it_scores_inside_a_large_one():
    small, large = cat(160, 200), cat(MIN_SIDE_PX, 280)
    score = Reference(small).score(noisy(small, 6))
    assert score == pytest.approx(Reference(large).score(noisy(large, 6)), abs=8)


def test_an_odd_edge_counts():
    pixels = cat(257, 259)
    spoilt = pixels.copy()
    spoilt[:, -1] = 255 - spoilt[:, -1]
    assert Reference(pixels).score(spoilt) < 90


def test_strips_leave_no_seam():
    pixels = np.ascontiguousarray(np.tile(cat(230, 260), (1, 16, 1)))
    damaged = noisy(pixels, 8)
    turned = Reference(np.ascontiguousarray(pixels.swapaxes(0, 1)))
    score = Reference(pixels).score(damaged)
    assert turned.score(np.ascontiguousarray(damaged.swapaxes(0, 1))) == pytest.approx(
        score, abs=0.01
    )


def with_alpha(pixels: np.ndarray, alpha: np.ndarray | int) -> np.ndarray:
    plane = np.broadcast_to(np.asarray(alpha, np.uint8), pixels.shape[:2])
    return np.dstack([pixels, plane])


def test_full_opacity_changes_no_score():
    pixels = cat(230, 240)
    damaged = noisy(pixels, 5)
    expected = Reference(pixels).score(damaged)
    assert Reference(with_alpha(pixels, 255)).score(with_alpha(damaged, 255)) == expected
    assert Reference(with_alpha(pixels, 255)).score(damaged) == expected


def test_damage_that_nobody_can_see_is_none():
    pixels = cat(230, 240)
    damaged = with_alpha(noisy(pixels, 40), 0)
    assert Reference(with_alpha(pixels, 0)).score(damaged) == 100.0


@pytest.mark.parametrize("grey", [26, 230], ids=["dark", "light"])
def test_lost_transparency_is_seen_on_either_background(grey):
    pixels = np.full((230, 230, 3), grey, np.uint8)
    alpha = np.zeros((230, 230), np.uint8)
    alpha[60:120, 60:120] = 255
    assert Reference(with_alpha(pixels, alpha)).score(with_alpha(pixels, 255)) < 60


def test_a_transparency_that_appears_is_seen():
    pixels = cat(230, 230)
    alpha = np.full((230, 230), 255, np.uint8)
    alpha[60:120, 60:120] = 0
    assert Reference(pixels).score(with_alpha(pixels, alpha)) < 60


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="against"):
        Reference(cat(40, 50)).score(cat(50, 40))


@pytest.fixture
def in_bands(monkeypatch):
    """As if images of this size were large: bands of 128 rows."""

    def apply() -> None:
        monkeypatch.setattr(bands, "LARGE_PX", 50_000)
        monkeypatch.setattr(bands, "_BAND_PX", 50_000)

    return apply


@pytest.mark.parametrize("shape", [(300, 389), (1021, 303), (897, 225)])
@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
def test_bands_score_what_the_whole_image_scores(in_bands, shape, alpha):
    height, width = shape
    pixels = np.ascontiguousarray(np.tile(cat(260, 391), (4, 1, 1))[:height, :width])
    damaged = noisy(pixels, 8)
    if alpha:
        slope = np.linspace(0, 255, width)
        pixels, damaged = with_alpha(pixels, slope), with_alpha(damaged, slope)
    mask = np.zeros(shape, bool)
    mask[100:260, 40:200] = True
    whole = Reference(pixels)
    regions = RegionScorer(whole, mask).score(damaged, tiles=True)
    in_bands()
    banded = Reference(pixels)

    assert len(whole.bands) == 1
    assert len(banded.bands) > 2
    assert banded.score(damaged) == pytest.approx(whole.score(damaged), abs=1e-4)
    scores = RegionScorer(banded, mask).score(damaged, tiles=True)
    for name in ("salient", "background", "whole", "worst_tile"):
        assert getattr(scores, name) == pytest.approx(getattr(regions, name), abs=1e-4), name
