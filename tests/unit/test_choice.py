from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixfleet.workers.imaging.choice import Choice
from pixfleet.workers.imaging.efforts import Effort, EffortCurves, efforts_of
from pixfleet.workers.imaging.encode import Encoded, EncodeRequest, Goal, encode_variant
from pixfleet.workers.imaging.original import Original

ROOT = Path(__file__).parents[2]
ALL = ("jpeg", "webp", "avif", "jxl")
SMALLEST = Goal(0.0, 1.0, max_cpu_s_per_mp=3.0)
FASTEST = Goal(1.0, 0.0, max_cpu_s_per_mp=0.0)
LITTLE_READ = Goal(5e-6, 4e-10)
MUCH_READ = Goal(5e-6, 9e-6, max_cpu_s_per_mp=3.0)


@pytest.fixture(scope="module")
def cat() -> np.ndarray:
    with Image.open(ROOT / "samples" / "chelsea.png") as image:
        return np.asarray(image.convert("RGB"))


def best(pixels, goal, formats=ALL, curves=None) -> Encoded:
    curves = curves or EffortCurves()
    request = EncodeRequest(formats, "best", 75.0, goal=goal, curves=curves)
    (result,) = encode_variant(pixels, request)
    return result


def tried(result):
    measured = {"chosen", "beaten", "missed"}
    return {(one.format, one.effort) for one in result.considered if one.verdict in measured}


def test_the_fastest_tries_only_the_cheapest_encoder(cat):
    result = best(cat, FASTEST)
    assert tried(result) == {("jpeg", 0)}
    assert {one.format for one in result.considered} == set(ALL)


def test_what_is_read_often_gets_a_slower_effort_and_fewer_bytes(cat):
    seldom, often = (best(cat, goal, ("avif",)) for goal in (LITTLE_READ, MUCH_READ))
    assert len(often.data) < 0.95 * len(seldom.data)
    assert often.cpu_s > seldom.cpu_s
    assert often.reached
    assert seldom.reached


def test_the_smallest_minds_no_cpu_but_its_limit(cat):
    result = best(cat, SMALLEST)
    assert len(result.data) <= len(best(cat, LITTLE_READ).data)
    beyond = [one for one in result.considered if "max_cpu_s_per_mp" in one.reason]
    assert beyond
    assert all(one.verdict == "not tried" for one in beyond)


def test_each_format_finds_its_own_effort(cat):
    request = EncodeRequest(("avif", "jpeg"), "each", 75.0, goal=MUCH_READ)
    avif, jpeg = encode_variant(cat, request)
    assert ("avif", efforts_of("avif")[0]) in tried(avif)
    assert len(tried(avif)) > 1
    assert tried(jpeg) == {("jpeg", 0)}


def test_the_chosen_candidate_is_the_file_and_weighs_least_of_all_that_were_made(cat):
    result = best(cat, MUCH_READ)
    chosen, *others = result.considered
    assert (chosen.verdict, chosen.size) == ("chosen", len(result.data))
    assert all(one.size >= chosen.size for one in others if one.verdict == "beaten")
    assert result.cpu_s >= sum(one.cpu_s for one in result.considered if one.verdict == "beaten")


def test_a_curve_that_promises_nothing_keeps_a_slow_effort_untried(cat):
    useless = {("avif", effort): Effort(1.0, 1.0) for effort in efforts_of("avif")[1:]}
    result = best(cat, MUCH_READ, ("avif",), EffortCurves(useless))
    assert tried(result) == {("avif", efforts_of("avif")[0])}


def test_a_search_tells_what_its_efforts_took(cat):
    seen = {(one.format, one.effort): one for one in best(cat, MUCH_READ, ("avif",)).seen}
    least, *slower = sorted(seen.values(), key=lambda one: one.cpu_s_per_mp)
    assert least.bytes_share is None
    assert all(0.5 < one.bytes_share < 1.05 for one in slower)
    assert slower


def test_thumbnails_teach_nothing_since_their_overhead_is_not_their_pixels(cat):
    assert best(np.ascontiguousarray(cat[:200, :200]), MUCH_READ, ("avif",)).seen == ()


def test_a_format_that_a_page_hardly_sends_gets_no_more_effort():
    original = Original(np.zeros((64, 64, 3), np.uint8), (255, 255, 255))
    goal = Goal(5e-6, 1.0, {"webp": 0.0, "avif": 1.0})
    choice = Choice(original, goal, EffortCurves(), lambda *_: None)
    assert choice._opening("webp") == efforts_of("webp")[0]  # noqa: SLF001 (its first decision)


def test_drawn_pictures_are_known_to_gain_more_from_effort():
    curves = EffortCurves()
    assert curves.bytes_share("avif", 8, graphic=True) < curves.bytes_share("avif", 8)
    assert curves.bytes_share("webp", 4, graphic=True) == curves.bytes_share("webp", 4)


def test_a_search_that_pays_in_bytes_ends_nearer_to_its_target(cat):
    hardly = best(cat, Goal(5e-6, 4e-9, max_cpu_s_per_mp=3.0), ("webp",))
    much = best(cat, Goal(5e-6, 9e-6, max_cpu_s_per_mp=3.0), ("webp",))
    assert much.score <= hardly.score
    assert much.score >= 74.5
