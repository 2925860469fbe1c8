from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pixfleet.workers.imaging.encode import (
    Encoded,
    EncodeRequest,
    FormatFailure,
    SourceBytes,
    encode_variant,
    flattened,
)
from pixfleet.workers.imaging.ssimulacra2 import Reference

ROOT = Path(__file__).parents[2]
ALL = ("jpeg", "webp", "avif", "jxl", "png")


@pytest.fixture(scope="module")
def cat() -> np.ndarray:
    with Image.open(ROOT / "samples" / "chelsea.png") as image:
        return np.asarray(image.convert("RGB"))[20:260, 60:380]


@pytest.fixture(scope="module")
def screenshot() -> np.ndarray:
    image = Image.new("RGB", (320, 240), "#fafafa")
    draw = ImageDraw.Draw(image)
    for row in range(12):
        draw.text((8, 4 + 19 * row), f"line {row}: the quick brown fox jumps", fill="#203040")
    for step in range(64):
        draw.line((250, 20 + step, 310, 20 + step), fill=(step * 4, 80, 255 - step * 4))
    return np.asarray(image)


def decoded(encoded: Encoded, mode: str = "RGB") -> np.ndarray:
    with Image.open(io.BytesIO(encoded.data)) as image:
        return np.asarray(image.convert(mode))


@pytest.mark.parametrize("target", [60.0, 75.0, 88.0])
def test_each_format_keeps_the_promise_on_its_decoded_bytes(cat, target):
    results = encode_variant(cat, EncodeRequest(ALL, "each", target))
    assert [result.format for result in results] == list(ALL)
    for result in results:
        assert result.reached
        assert result.width, result.height == (320, 240)
        score = Reference(cat).score(decoded(result))
        assert score == pytest.approx(result.score, abs=0.1)
        assert score >= target - 0.6
        assert result.probes <= 5


def test_a_photograph_is_not_given_more_quality_than_asked_for(cat):
    request = EncodeRequest(("jpeg", "webp", "avif", "jxl"), "each", 75.0)
    assert all(result.score <= 77 for result in encode_variant(cat, request))


def test_the_smallest_is_the_smallest_of_each(cat):
    formats = ("jpeg", "webp", "avif")
    each = encode_variant(cat, EncodeRequest(formats, "each", 75.0))
    (smallest,) = encode_variant(cat, EncodeRequest(formats, "best", 75.0))
    assert len(smallest.data) == min(len(result.data) for result in each)
    assert {one.format for one in smallest.considered} == set(formats)
    assert [one.verdict for one in smallest.considered].count("chosen") == 1


def test_drawn_images_are_kept_exactly_where_that_is_smaller(screenshot):
    (webp,) = encode_variant(screenshot, EncodeRequest(("webp",), "each", 90.0))
    assert webp.metric == "lossless"
    assert np.array_equal(decoded(webp), screenshot)


def test_a_drawn_image_needs_no_avif_to_be_small(screenshot):
    (best,) = encode_variant(screenshot, EncodeRequest(ALL, "best", 90.0))
    jpeg = encode_variant(screenshot, EncodeRequest(("jpeg",), "each", 90.0))[0]
    assert best.reached
    assert len(best.data) < len(jpeg.data) / 2


def test_a_photograph_as_png_is_a_palette_when_that_passes(cat):
    (png,) = encode_variant(cat, EncodeRequest(("png",), "each", 70.0))
    (exact,) = encode_variant(cat, EncodeRequest(("png",), "each", 99.0))
    assert png.metric == "ssimulacra2"
    assert png.quality <= 256
    assert exact.metric == "lossless"
    assert np.array_equal(decoded(exact), cat)
    assert len(png.data) < len(exact.data) / 2


def test_drawn_edges_that_halved_chroma_cannot_reach_get_full_chroma():
    y, x = np.mgrid[0:240, 0:240]
    pixels = np.dstack([(x // 5 + y // 5) % 2 * 255, x // 2 + 60, (x // 5 + y // 5 + 1) % 2 * 255])
    request = EncodeRequest(("jpeg", "avif"), "each", 80.0)
    for result in encode_variant(pixels.astype(np.uint8), request):
        assert result.reached
        assert "4:4:4" in result.encoder
        assert result.probes <= 5


def test_an_unreachable_target_is_explicit(cat):
    (jpeg,) = encode_variant(cat, EncodeRequest(("jpeg",), "each", 99.9))
    assert not jpeg.reached
    assert "target unreachable" in jpeg.notes[0]
    assert jpeg.score > 85


def test_webp_is_lossless_where_its_lossy_mode_cannot_reach(cat):
    (webp,) = encode_variant(cat, EncodeRequest(("webp",), "each", 99.0))
    assert webp.reached
    assert webp.metric == "lossless"


def test_one_probe_is_one_encoding(cat):
    (jpeg,) = encode_variant(cat, EncodeRequest(("jpeg",), "each", 75.0, max_probes=1))
    assert jpeg.probes == 1


def see_through(cat: np.ndarray) -> np.ndarray:
    return np.dstack([cat, np.tile(np.linspace(0, 255, 320).astype(np.uint8), (240, 1))])


def test_alpha_is_kept_where_the_format_has_it_and_laid_on_the_background_elsewhere(cat):
    pixels = see_through(cat)
    request = EncodeRequest(ALL, "each", 75.0, background=(10, 200, 30))
    for result in encode_variant(pixels, request):
        assert result.reached
        if result.format == "jpeg":
            assert "laid on the background" in result.notes
            expected = flattened(pixels, (10, 200, 30))
            assert Reference(expected).score(decoded(result)) >= 74
        else:
            assert Reference(pixels).score(decoded(result, "RGBA")) >= 74


def test_full_opacity_is_no_alpha(cat):
    opaque = np.dstack([cat, np.full(cat.shape[:2], 255, np.uint8)])
    request = EncodeRequest(("webp", "png"), "each", 75.0)
    assert [r.data for r in encode_variant(opaque, request)] == [
        r.data for r in encode_variant(cat, request)
    ]


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_flattening_is_the_composite_in_srgb_values(alpha):
    pixels = np.full((2, 3, 4), (200, 100, 0, alpha), np.uint8)
    expected = np.rint(
        (np.array([200, 100, 0]) * alpha + np.array([50, 60, 70]) * (255 - alpha)) / 255
    )
    assert np.array_equal(flattened(pixels, (50, 60, 70))[1, 2], expected)


def test_the_sources_own_bytes_win_when_they_are_no_larger(cat):
    buffer = io.BytesIO()
    Image.fromarray(cat).save(buffer, "JPEG", quality=30)
    source = SourceBytes("jpeg", buffer.getvalue(), 320, 240)
    pixels = np.asarray(Image.open(buffer).convert("RGB"))
    jpeg, webp = encode_variant(
        pixels, EncodeRequest(("jpeg", "webp"), "each", 90.0, source=source)
    )
    assert jpeg.kept_source
    assert jpeg.data == source.data
    assert (jpeg.metric, jpeg.score, jpeg.quality) == ("source", None, None)
    assert not webp.kept_source


def test_a_larger_source_is_not_kept(cat):
    buffer = io.BytesIO()
    Image.fromarray(cat).save(buffer, "JPEG", quality=98)
    source = SourceBytes("jpeg", buffer.getvalue(), 320, 240)
    (jpeg,) = encode_variant(cat, EncodeRequest(("jpeg",), "each", 75.0, source=source))
    assert not jpeg.kept_source


def test_a_format_that_cannot_hold_the_image_fails_alone():
    pixels = np.zeros((2, 16_400, 3), np.uint8)
    webp, jpeg = encode_variant(pixels, EncodeRequest(("webp", "jpeg"), "each", 60.0))
    assert isinstance(webp, FormatFailure)
    assert webp.error.code == "format_side_limit"
    assert jpeg.reached


def test_a_failed_candidate_stands_beside_the_one_that_won():
    pixels = np.zeros((2, 16_400, 3), np.uint8)
    (best,) = encode_variant(pixels, EncodeRequest(("webp", "jpeg"), "best", 60.0))
    assert best.format == "jpeg"
    failed = best.considered[-1]
    assert (failed.format, failed.verdict) == ("webp", "failed")
    assert "16383" in failed.reason


def test_all_candidates_failing_is_a_failure():
    pixels = np.zeros((2, 16_400, 3), np.uint8)
    (failure,) = encode_variant(pixels, EncodeRequest(("webp",), "best", 60.0))
    assert isinstance(failure, FormatFailure)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (9, 7)], ids=str)
def test_the_tiniest_images_come_out_in_every_format(size):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    for result in encode_variant(pixels, EncodeRequest(ALL, "each", 75.0)):
        assert decoded(result).shape == (*size, 3)


@pytest.mark.parametrize(
    "wrong",
    [{"formats": ("gif",)}, {"formats": ()}, {"pick": "smallest"}, {"max_probes": 0}],
    ids=["format", "no format", "pick", "no probe"],
)
def test_a_request_that_makes_no_sense_is_a_bug_of_the_caller(wrong):
    good = {"formats": ("jpeg",), "pick": "each", "target": 75.0}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EncodeRequest(**{**good, **wrong})
