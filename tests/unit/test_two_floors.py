from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from pixfleet.config.contract import Recipe, explain
from pixfleet.workers.imaging import requantise
from pixfleet.workers.imaging.encode import Encoded, EncodeRequest, Floors, encode_variant
from pixfleet.workers.imaging.region_score import RegionScorer
from pixfleet.workers.imaging.regions import depth, salient_region
from pixfleet.workers.imaging.ssimulacra2 import Reference

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    with Image.open(SAMPLES / "astronaut.png") as image:
        return np.asarray(image.convert("RGB").resize((320, 320), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def distorted(astronaut) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(astronaut).save(buffer, "JPEG", quality=70)
    with Image.open(buffer) as image:
        return np.asarray(image)


def floors(salient: float = 80, background: float = 65) -> dict:
    return {"target": salient, "floors": Floors(salient, background)}


def decoded(encoded: Encoded, mode: str = "RGB") -> np.ndarray:
    with Image.open(io.BytesIO(encoded.data)) as image:
        return np.asarray(image.convert(mode))


def test_a_mask_of_ones_scores_what_the_whole_image_scores(astronaut, distorted):
    reference = Reference(astronaut)
    scores = RegionScorer(reference, np.ones(astronaut.shape[:2])).score(distorted)
    assert scores.salient == pytest.approx(reference.score(distorted), abs=0.01)
    assert scores.whole == pytest.approx(reference.score(distorted), abs=0.001)
    assert scores.background is None


def test_a_mask_of_zeros_leaves_the_whole_image_as_background(astronaut, distorted):
    reference = Reference(astronaut)
    scores = RegionScorer(reference, np.zeros(astronaut.shape[:2])).score(distorted)
    assert scores.salient is None
    assert scores.background == pytest.approx(reference.score(distorted), abs=0.01)


def test_damage_counts_where_it_is(astronaut):
    damaged = astronaut.copy()
    noise = np.random.default_rng(1).integers(-25, 26, (160, 320, 3))
    damaged[160:] = np.clip(damaged[160:].astype(int) + noise, 0, 255)
    mask = np.zeros(astronaut.shape[:2], bool)
    mask[:128] = True
    scores = RegionScorer(Reference(astronaut), mask).score(damaged, tiles=True)
    assert scores.salient > 95
    assert scores.background < scores.whole < scores.salient
    assert scores.worst_tile < scores.background


def test_one_bad_tile_shows_in_the_worst_tile(astronaut):
    damaged = astronaut.copy()
    damaged[128:256, 128:256] = damaged[128:256, 128:256][::-1]
    scores = RegionScorer(Reference(astronaut), np.ones((320, 320))).score(damaged, tiles=True)
    assert scores.worst_tile < scores.whole - 30


def test_a_mask_of_another_size_is_refused(astronaut):
    with pytest.raises(ValueError, match="against"):
        RegionScorer(Reference(astronaut), np.ones((10, 10)))


def test_a_face_is_salient_and_the_plain_wall_is_not(astronaut):
    region = salient_region(astronaut)
    assert region[60:100, 125:155].all()
    assert 0.1 < region.mean() < 0.6
    assert not region[:24, 84:104].any()
    assert np.array_equal(region, salient_region(astronaut))


def test_depth_is_nothing_in_the_region_and_grows_without_a_jump(astronaut):
    region = salient_region(astronaut)
    deep = depth(region)
    assert deep[region].max() == 0.0
    assert deep.max() == 1.0
    assert np.abs(np.diff(deep, axis=1)).max() < 0.3


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(np.full((96, 96, 3), 90, np.uint8), id="flat"),
        pytest.param(np.zeros((1, 1, 3), np.uint8), id="1x1"),
        pytest.param(np.zeros((1, 40, 3), np.uint8), id="1xN"),
    ],
)
def test_nothing_is_salient_in(image):
    assert not salient_region(image).any()


@pytest.mark.parametrize("pair", [(80, 65), (90, 75), (70, 50)], ids=str)
def test_both_floors_hold_in_no_more_bytes_than_uniform_coding(astronaut, pair):
    formats = ("jpeg", "webp", "avif", "jxl")
    for result in encode_variant(astronaut, EncodeRequest(formats, "each", **floors(*pair))):
        scores = RegionScorer(Reference(astronaut), salient_region(astronaut)).score(
            decoded(result)
        )
        assert result.reached, result.format
        assert scores.salient >= pair[0] - 0.6, result.format
        assert scores.background >= pair[1] - 0.6, result.format
        assert scores.salient == pytest.approx(result.floors.salient_score, abs=0.1)
        assert scores.background == pytest.approx(result.floors.background_score, abs=0.1)
        assert len(result.data) <= result.floors.uniform_bytes


def test_a_photograph_as_jpeg_saves_a_tenth_by_its_regions(astronaut):
    (result,) = encode_variant(astronaut, EncodeRequest(("jpeg",), "each", **floors()))
    assert result.floors.treatment == "requantised"
    assert len(result.data) < 0.9 * result.floors.uniform_bytes


def test_without_jpeglib_a_jpeg_is_coded_uniformly_and_says_so(astronaut, monkeypatch):
    monkeypatch.setattr(requantise, "jpeglib", None)
    (result,) = encode_variant(astronaut, EncodeRequest(("jpeg",), "each", **floors()))
    assert result.reached
    assert result.floors.treatment == "uniform"
    assert len(result.data) == result.floors.uniform_bytes
    assert any("jpeglib is not installed" in note for note in result.notes)


@pytest.mark.parametrize("max_probes", [1, 2, 5])
def test_a_format_is_encoded_at_most_twice_max_probes(astronaut, max_probes):
    request = EncodeRequest(("jpeg", "webp", "avif"), "each", max_probes=max_probes, **floors())
    for result in encode_variant(astronaut, request):
        exact = result.metric == "lossless"
        assert result.probes <= 2 * max_probes + exact, result.format


def test_equal_floors_are_kept_too(astronaut):
    (result,) = encode_variant(astronaut, EncodeRequest(("jpeg",), "each", **floors(75, 75)))
    assert min(result.floors.salient_score, result.floors.background_score) >= 74.5


def _soft_disc() -> np.ndarray:
    rows, columns = np.mgrid[:160, :160]
    distance = np.hypot(rows - 80, columns - 80)
    image = np.zeros((160, 160, 4), np.uint8)
    image[..., 0] = 40 + columns
    image[..., 1] = 200 - rows
    image[..., 3] = np.clip((70 - distance) * 12, 0, 255)
    return image


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(np.full((96, 96, 3), 90, np.uint8), id="flat"),
        pytest.param(np.full((1, 1, 3), 90, np.uint8), id="1x1"),
        pytest.param(np.arange(3 * 70, dtype=np.uint8).reshape(1, 70, 3), id="1xN"),
        pytest.param(_soft_disc(), id="alpha"),
        pytest.param(
            np.random.default_rng(0).integers(0, 256, (67, 131, 3)).astype(np.uint8), id="noise"
        ),
    ],
)
def test_any_image_keeps_its_floors_or_says_what_it_missed(image):
    request = EncodeRequest(("jpeg", "webp", "avif", "png"), "each", **floors())
    for result in encode_variant(image, request):
        kept = [
            score is None or score >= floor - 0.5
            for score, floor in (
                (result.floors.salient_score, 80),
                (result.floors.background_score, 65),
            )
        ]
        assert result.reached == all(kept), result.format
        assert len(result.data) <= result.floors.uniform_bytes
        assert decoded(result).shape[:2] == image.shape[:2]


def test_a_grey_photograph_keeps_its_floors(astronaut):
    grey = np.repeat(astronaut.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    (result,) = encode_variant(grey, EncodeRequest(("jpeg",), "each", **floors()))
    assert result.reached
    assert len(result.data) <= result.floors.uniform_bytes
    assert np.ptp(decoded(result).astype(int), axis=2).max() <= 3


def test_one_target_has_no_floors(astronaut):
    (result,) = encode_variant(astronaut, EncodeRequest(("jpeg",), "each", 75.0))
    assert result.floors is None


def test_the_smallest_of_several_keeps_both_floors(astronaut):
    request = EncodeRequest(("jpeg", "webp", "avif"), "best", **floors())
    (result,) = encode_variant(astronaut, request)
    assert result.reached
    assert result.floors.background_score >= 64.5


def _recipe(quality) -> dict:
    return {"name": "own", "quality": quality, "variants": [{"name": "a", "formats": ["jpeg"]}]}


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        pytest.param({"salient": 60, "background": 80}, "above salient", id="contradiction"),
        pytest.param({"salient": 80}, "quality.background: ", id="half a promise"),
        pytest.param({"salient": 101, "background": 65}, "quality.salient: ", id="above 100"),
        pytest.param(5, "quality: ", id="below 10"),
        pytest.param("high", "quality: ", id="a word"),
    ],
)
def test_floors_that_cannot_be_promised_are_refused(quality, reason):
    with pytest.raises(ValidationError) as refused:
        Recipe.model_validate(_recipe(quality))
    assert reason in explain(refused.value)


def test_a_recipe_may_give_one_number_or_two_floors():
    assert Recipe.model_validate(_recipe(70)).quality == 70
    two = Recipe.model_validate(_recipe({"salient": 80, "background": 65})).quality
    assert (two.salient, two.background) == (80, 65)
    assert Recipe.model_validate_json(Recipe.model_validate(_recipe(two)).model_dump_json())


def test_floors_of_the_worker_contradict_no_target():
    with pytest.raises(ValueError, match="above salient"):
        Floors(60, 80)
    with pytest.raises(ValueError, match="not the salient floor"):
        EncodeRequest(("jpeg",), "each", 75.0, floors=Floors(80, 65))
