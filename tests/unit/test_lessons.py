from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pixfleet.workers.imaging.encode import Encoded, EncodeRequest, Lessons, encode_variant

ROOT = Path(__file__).parents[2]
WIDTHS = (400, 340, 290, 250)


@pytest.fixture(scope="module")
def sizes() -> list[np.ndarray]:
    """A picture that its texture describes badly: grain over something smooth."""
    with Image.open(ROOT / "samples" / "chelsea.png") as image:
        smooth = cv2.GaussianBlur(np.asarray(image.convert("RGB")), (0, 0), 3)
    grain = np.random.default_rng(1).normal(0, 9, smooth.shape[:2])[..., None]
    noisy = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    return [cv2.resize(noisy, (w, w * 2 // 3), interpolation=cv2.INTER_AREA) for w in WIDTHS]


@pytest.fixture(scope="module")
def checks() -> np.ndarray:
    """Edges of colour that halved chroma cannot keep."""
    y, x = np.mgrid[0:240, 0:240]
    rows = [(x // 5 + y // 5) % 2 * 255, x // 2 + 60, (x // 5 + y // 5 + 1) % 2 * 255]
    return np.dstack(rows).astype(np.uint8)


def encoded(pixels: np.ndarray, request: EncodeRequest, lessons: Lessons | None) -> Encoded:
    (result,) = encode_variant(pixels, request, lessons)
    assert isinstance(result, Encoded)
    return result


@pytest.mark.parametrize("name", ["jpeg", "avif"])
def test_what_one_search_learned_shortens_the_next(sizes, name):
    request = EncodeRequest((name,), "each", 75.0)
    lessons = Lessons()
    first = encoded(sizes[0], request, lessons)
    again = encoded(sizes[0][:-2], request, lessons)
    assert first.probes > 1
    assert again.probes < first.probes
    assert again.score >= 74.5


@pytest.mark.parametrize("name", ["jpeg", "avif"])
def test_sizes_that_share_their_lessons_all_keep_the_promise(sizes, name):
    request = EncodeRequest((name,), "each", 75.0)
    lessons = Lessons()
    for pixels in sizes:
        variant = encoded(pixels, request, lessons)
        assert variant.reached
        assert variant.score >= 74.5
        assert variant.probes <= 5


def test_an_encoder_that_could_not_reach_the_target_is_not_tried_at_the_next_size(checks):
    lessons = Lessons()
    request = EncodeRequest(("jpeg",), "each", 80.0)
    first = encoded(checks, request, lessons)
    second = encoded(checks[:230], request, lessons)
    assert "4:4:4" in first.encoder
    assert "4:4:4" in second.encoder
    assert second.reached
    assert second.probes <= first.probes - 2


def test_a_lower_target_is_tried_again_with_the_encoder_that_missed_a_higher_one():
    lessons = Lessons()
    lessons.miss("halved chroma", 80.0)
    lessons.miss("halved chroma", 85.0)
    assert not lessons.in_reach("halved chroma", 80.0)
    assert lessons.in_reach("halved chroma", 79.0)
    assert lessons.in_reach("full chroma", 90.0)


def test_an_encoder_expects_its_own_surprise_before_that_of_another():
    lessons = Lessons()
    assert lessons.expected("jpegli", "jpeg") == 0.0
    lessons.learn("jpegli", "jpeg", 0.2)
    assert lessons.expected("libaom 9", "avif") == pytest.approx(0.15)
    lessons.learn("libaom 9", "avif", -0.1)
    assert lessons.expected("libaom 6", "avif") == -0.1
    assert lessons.expected("jpegli", "jpeg") == 0.2


def test_the_same_sizes_in_the_same_order_give_the_same_bytes(sizes):
    request = EncodeRequest(("jpeg",), "each", 75.0)
    runs = [
        [encoded(pixels, request, lessons).data for pixels in sizes[:2]]
        for lessons in (Lessons(), Lessons())
    ]
    assert runs[0] == runs[1]
