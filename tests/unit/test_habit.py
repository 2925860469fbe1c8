"""The fixed-quality encoders of others, and their quality nearest to a size or a score."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixfleet.workers.imaging.codecs import decode_own
from pixfleet.workers.imaging.habit import FixedQuality, habit_of, nearest
from pixfleet.workers.imaging.region_score import RegionScorer
from pixfleet.workers.imaging.ssimulacra2 import Reference

SAMPLES = Path(__file__).parents[2] / "samples"
CURVES = {
    "straight": float,
    "bent": lambda q: 2.0 ** (q / 9),
    "steps": lambda q: float(q // 7),
    "cliff": lambda q: 0.0 if q < 88 else 1000.0 + q,
    "flat": lambda _: 5.0,
}


@pytest.fixture(scope="module")
def photo():
    with Image.open(SAMPLES / "chelsea.png") as image:
        return np.asarray(image.convert("RGB"))[60:220, 100:340]


@pytest.fixture(scope="module")
def scorer(photo):
    mask = np.zeros(photo.shape[:2], bool)
    mask[40:90, 60:150] = True
    return RegionScorer(Reference(photo), mask)


@pytest.mark.parametrize("wanted", [-3.0, 0.4, 12.0, 63.9, 500.0, 3000.0], ids=str)
@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_no_other_quality_is_nearer(curve, wanted):
    found = nearest(curve, wanted, 100, {})
    assert abs(curve(found) - wanted) == min(abs(curve(q) - wanted) for q in range(1, 101))


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_few_qualities_are_tried(curve):
    tried = []
    nearest(lambda q: tried.append(q) or curve(q), 63.9, 100, {})
    assert len(tried) == len(set(tried)) <= 14


def test_what_is_known_is_not_tried_again():
    tried = []
    known = {59: 59.0, 62: 62.0}
    found = nearest(lambda q: tried.append(q) or float(q), 60.9, 100, known)
    assert found == 61
    assert set(tried) <= {60, 61}


def test_of_two_as_near_the_higher_quality_is_taken():
    assert nearest(float, 40.5, 100, {}) == 41


def test_a_dent_in_the_curve_does_not_keep_it_from_the_crossing():
    found = nearest(lambda q: q - (15.0 if 40 <= q < 44 else 0.0), 60.0, 100, {40: 25.0, 30: 30.0})
    assert found == 60


def test_nothing_above_the_highest_quality_is_tried():
    tried = []
    assert nearest(lambda q: tried.append(q) or float(q), 500.0, 99, {}) == 99
    assert max(tried) == 99


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(
            "jpeg",
            {"quality": 80, "subsampling": "4:2:0", "optimize": True, "progressive": True},
            id="jpeg",
        ),
        pytest.param("webp", {}, id="webp"),
        pytest.param("avif", {"max_threads": 1}, id="avif"),
    ],
)
def test_the_habit_is_byte_for_byte_what_pillow_writes(photo, name, options):
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, name.upper(), **options)
    habit = habit_of(name)
    assert habit.encode(photo, habit.quality) == buffer.getvalue()


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif", "jxl"])
def test_every_quality_from_lowest_to_highest_can_be_written(photo, name):
    habit = habit_of(name)
    sizes = [len(habit.encode(photo, quality)) for quality in (1, 50, habit.highest)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_the_file_of_the_same_bytes_is_the_nearest_of_all(photo, scorer, name):
    habit = habit_of(name)
    sizes = {quality: len(habit.encode(photo, quality)) for quality in range(1, 101)}
    for wanted in (2500, 4000, 9000):
        found = FixedQuality(habit, photo, scorer).nearest_bytes(wanted)
        assert len(found.data) == sizes[found.quality]
        assert abs(len(found.data) - wanted) == min(abs(size - wanted) for size in sizes.values())


@pytest.mark.parametrize("region", ["whole", "salient", "background"])
def test_the_file_of_the_same_score_is_about_the_nearest_of_all(photo, scorer, region):
    habit = habit_of("jpeg")
    fixed = FixedQuality(habit, photo, scorer)
    all_scores = []
    for quality in range(1, 101):
        pixels = decode_own("jpeg", habit.encode(photo, quality))
        all_scores.append(getattr(scorer.score(pixels), region))
    for wanted in (60.0, 75.0, 85.0):
        found = fixed.nearest_score(wanted, lambda scores: getattr(scores, region))
        best = min(abs(score - wanted) for score in all_scores)
        assert abs(getattr(found.scores, region) - wanted) <= best + 0.25
        assert found.scores.worst_tile is not None
