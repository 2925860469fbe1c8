"""One picture against the fixed encoder: what is compared is what is measured and shown."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixfleet.config.access import SourceSettings
from pixfleet.config.contract import Floors
from pixfleet.config.recipes import load_recipe
from pixfleet.config.worker_settings import LimitSettings
from pixfleet.producer.sources import Source
from pixfleet.workers.compare_figures import figures, totals_of
from pixfleet.workers.compare_page import picture_line
from pixfleet.workers.comparison import compare
from pixfleet.workers.errors import WorkError
from pixfleet.workers.imaging.codecs import decode_own
from pixfleet.workers.imaging.goal import FEWEST_AT_LEAST_EFFORT
from pixfleet.workers.imaging.ssimulacra2 import Reference
from tests.hostile import HOSTILE

SAMPLES = Path(__file__).parents[2] / "samples"
FLOORS = load_recipe("web").model_copy(update={"quality": Floors(salient=80, background=65)})


def compared(path: Path, formats=("jpeg",), recipe=FLOORS, width_px=240, **limits):
    return compare(
        Source(str(path), path.name, None),
        recipe,
        formats=formats,
        goal=FEWEST_AT_LEAST_EFFORT,
        width_px=width_px,
        limits=LimitSettings(**limits),
        rules=SourceSettings(),
        show=lambda _: None,
    )


@pytest.fixture(scope="module")
def cat():
    return compared(SAMPLES / "chelsea.png", ("jpeg", "avif", "jxl"))


@pytest.fixture(scope="module")
def sticker(tmp_path_factory):
    """Half transparent, half opaque."""
    picture = np.zeros((120, 160, 4), np.uint8)
    picture[..., 0] = np.arange(160)
    picture[:, 80:, 3] = 255
    path = tmp_path_factory.mktemp("sticker") / "sticker.png"
    Image.fromarray(picture).save(path)
    return compared(path, ("jpeg", "webp"))


def encodings(comparison):
    for one in comparison.formats:
        yield one.format, one.habit
        for match in one.matches:
            for shown in (match.pixfleet, match.same_bytes, match.same_score):
                yield one.format, shown


def test_the_picture_is_scaled_to_the_width_and_never_enlarged(cat):
    assert cat.pixels.shape == (160, 240, 3)
    assert compared(SAMPLES / "astronaut.png", width_px=5000).pixels.shape == (512, 512, 3)


def test_two_floors_stand_beside_their_salient_floor_for_all_pixels(cat):
    assert [one.format for one in cat.formats] == ["jpeg", "avif", "jxl"]
    for one in cat.formats:
        assert [match.promise for match in one.matches] == ["80", "80/65"]
        everywhere, floors = (match.pixfleet for match in one.matches)
        assert everywhere.scores.whole >= 79.5
        assert floors.scores.salient >= 79.5
        assert floors.scores.background >= 64.5
        assert everywhere.reached
        assert floors.reached


def test_every_score_is_that_of_the_files_own_pixels(cat):
    reference = Reference(cat.pixels)
    for name, shown in encodings(cat):
        score = reference.score(decode_own(name, shown.data))
        assert shown.scores.whole == pytest.approx(score, abs=0.01)


def test_the_fixed_encoder_comes_near_in_bytes_and_in_score(cat):
    for one in cat.formats:
        for match in one.matches:
            size = len(match.pixfleet.data)
            assert len(match.same_bytes.data) == pytest.approx(size, rel=0.04)
            assert match.same_score.score == pytest.approx(match.pixfleet.score, abs=1.0)


def test_under_one_target_the_score_is_that_of_all_pixels():
    for _, shown in encodings(compared(SAMPLES / "coffee.png", recipe=load_recipe("web"))):
        assert shown.score == shown.scores.whole


def test_jpeg_is_compared_on_the_background_and_webp_with_its_alpha(sticker):
    jpeg, webp = sticker.formats
    assert decode_own("jpeg", jpeg.matches[0].same_bytes.data)[:, :70].min() > 200
    for shown in (webp.habit, webp.matches[0].pixfleet, webp.matches[0].same_score):
        assert decode_own("webp", shown.data)[:, :70, 3].max() == 0


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_file_is_refused_with_the_code_of_a_run(name, tmp_path):
    data, code = HOSTILE[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(WorkError) as refused:
        compared(path)
    assert refused.value.code == code


def test_the_limits_of_the_settings_hold():
    with pytest.raises(WorkError, match="px") as refused:
        compared(SAMPLES / "chelsea.png", max_pixels=1000)
    assert refused.value.code == "image_too_many_pixels"


def test_a_format_that_cannot_hold_the_picture_fails_and_the_others_are_compared(tmp_path):
    Image.new("RGB", (20, 17_000), "red").save(tmp_path / "tall.png")
    tall = compared(tmp_path / "tall.png", ("webp", "jpeg"), load_recipe("web"))
    assert [one.format for one in tall.formats] == ["jpeg"]
    assert [failure.code for failure in tall.failures] == ["format_side_limit"]


def _pixels(uri: str) -> tuple[str, np.ndarray]:
    head, _, payload = uri.partition(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(payload))) as image:
        return head, np.asarray(image.convert("RGB"))


def test_the_page_shows_the_original_without_loss_and_the_very_files(cat):
    line = json.loads(picture_line(cat, "#ffffff"))
    head, original = _pixels(line["files"][line["original"]])
    assert head == "data:image/webp"
    assert np.array_equal(original, cat.pixels)
    told = {one["format"]: one for one in line["formats"]}
    for one in cat.formats[:2]:
        place = told[one.format]["promises"][1]["pixfleet"]["file"]
        payload = line["files"][place].partition(";base64,")[2]
        assert base64.b64decode(payload) == one.matches[1].pixfleet.data


def test_jpeg_xl_is_shown_by_its_decoded_pixels_without_loss(cat):
    line = json.loads(picture_line(cat, "#ffffff"))
    head, pixels = _pixels(line["files"][line["formats"][2]["habit"]["file"]])
    assert head == "data:image/webp"
    assert np.array_equal(pixels, decode_own("jxl", cat.formats[2].habit.data))


def test_the_page_does_not_say_where_the_source_lies(cat):
    assert str(SAMPLES) not in picture_line(cat, "#ffffff")


def test_sums_are_geometric_means_of_bytes_and_count_every_verdict(cat):
    told = figures(cat)
    (first, *_) = totals_of([told, told])["sums"]
    match = told["formats"][0]["promises"][0]
    assert (first["format"], first["promise"]) == ("jpeg", "80")
    assert first["saved"] == pytest.approx(match["same_score"]["saved"], abs=1e-4)
    assert first["points"] == match["same_bytes"]["points"]
    assert sum(first["same_score"].values()) == sum(first["same_bytes"].values()) == 2


def test_what_has_no_match_is_counted_but_not_averaged(cat):
    told = figures(cat)
    unfair = json.loads(json.dumps(told))
    theirs = unfair["formats"][0]["promises"][0]
    theirs["same_score"].update(better="unmatched", saved=0.9)
    theirs["same_bytes"].update(better="unmatched", points=90.0)
    alone, both = (totals_of(given)["sums"][0] for given in ([told], [told, unfair]))
    assert (both["saved"], both["points"]) == (alone["saved"], alone["points"])
    assert both["same_score"]["unmatched"] == both["same_bytes"]["unmatched"] == 1
