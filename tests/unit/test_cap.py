from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixfleet.workers.imaging.animation import Frame, encode_animation
from pixfleet.workers.imaging.encode import (
    Encoded,
    EncodeRequest,
    Floors,
    FormatFailure,
    encode_variant,
)
from pixfleet.workers.imaging.ssimulacra2 import Reference

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cat() -> np.ndarray:
    return np.asarray(Image.open(ROOT / "samples" / "chelsea.png").convert("RGB"))


def decoded(result: Encoded) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(result.data)).convert("RGB"))


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif", "jxl", "png"])
def test_a_file_fits_and_says_what_that_cost(cat, name):
    request = EncodeRequest((name,), "each", 80.0)
    (promised,) = encode_variant(cat, request)
    cap = len(promised.data) * 2 // 3
    (result,) = encode_variant(cat, replace(request, max_bytes=cap))
    assert 0.6 * cap < len(result.data) <= cap
    assert not result.reached
    assert f"max_bytes = {cap} costs " in result.notes[-1]
    assert result.score == pytest.approx(Reference(cat).score(decoded(result)), abs=0.01)
    assert result.score < promised.score


def test_a_promise_that_fits_is_kept_as_without_a_cap(cat):
    request = EncodeRequest(("jpeg",), "each", 70.0)
    (free,) = encode_variant(cat, request)
    (result,) = encode_variant(cat, replace(request, max_bytes=len(free.data)))
    assert result.data == free.data
    assert result.reached


def test_a_format_that_cannot_be_small_enough_is_refused_with_what_it_takes(cat):
    (failure,) = encode_variant(cat, EncodeRequest(("jpeg",), "each", 80.0, max_bytes=300))
    assert isinstance(failure, FormatFailure)
    assert failure.error.code == "max_bytes_unreachable"
    assert "max_bytes is 300" in failure.error.message


def test_the_best_under_a_cap_is_a_format_that_keeps_the_promise_within_it(cat):
    jpeg, avif = encode_variant(cat, EncodeRequest(("jpeg", "avif"), "each", 80.0))
    assert len(avif.data) < len(jpeg.data)
    cap = (len(avif.data) + len(jpeg.data)) // 2
    (best,) = encode_variant(cat, EncodeRequest(("jpeg", "avif"), "best", 80.0, max_bytes=cap))
    assert best.format == "avif"
    assert best.reached


def test_a_cap_rules_over_two_floors_and_both_scores_are_recorded(cat):
    request = EncodeRequest(("jpeg",), "each", 85.0, floors=Floors(85.0, 70.0))
    (promised,) = encode_variant(cat, request)
    (result,) = encode_variant(cat, replace(request, max_bytes=len(promised.data) // 2))
    assert len(result.data) <= len(promised.data) // 2
    assert not result.reached
    assert result.floors.salient_score < 84.5
    assert result.floors.treatment == "uniform"


def test_an_animation_fits_too():
    y, x = np.mgrid[0:120, 0:160]
    grain = np.random.default_rng(1).normal(0, 12, (3, 120, 160, 3))
    frames = [
        Frame(np.clip(np.dstack([x, y, (x + 9 * n) % 256]) + grain[n], 0, 255).astype(np.uint8), 40)
        for n in range(3)
    ]
    request = EncodeRequest(("webp",), "each", 80.0)
    (free,) = encode_animation(frames, 0, request)
    cap = len(free.data) // 2
    (result,) = encode_animation(frames, 0, replace(request, max_bytes=cap))
    assert len(result.data) <= cap
    assert result.frames == 3
    (apng,) = encode_animation(frames, 0, EncodeRequest(("png",), "each", 80.0, max_bytes=cap))
    assert apng.error.code == "max_bytes_unreachable"
