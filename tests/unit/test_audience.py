"""Each view is served by the first format its viewer accepts, and by one format only."""

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pixfleet.config.audience import AUDIENCE, serving_order, serving_shares
from pixfleet.config.contract import Format, Recipe

SEEN = {"jpeg": 1.0, "png": 1.0, "webp": 0.9, "avif": 0.8, "jxl": 0.5}
FORMATS = get_args(Format)
sizes = st.dictionaries(st.sampled_from(FORMATS), st.integers(1, 10_000), min_size=1)
shares = st.fixed_dictionaries({name: st.floats(0, 1) for name in FORMATS})


def _recipe(**fields):
    return Recipe.model_validate({"name": "own", "features": ["phash"], **fields})


def test_every_format_has_a_share_of_the_world():
    assert set(AUDIENCE) == set(FORMATS)


def test_the_page_on_pictures_gives_the_same_shares():
    text = (Path(__file__).parents[2] / "docs" / "pictures.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z, ]+) \| ([\d.]+) \|", text, re.MULTILINE)
    told = {name: float(share) for names, share in rows for name in names.split(", ")}
    assert told == AUDIENCE


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        pytest.param(["jpeg"], {"jpeg": 1}, id="one for all"),
        pytest.param(
            ["jxl", "avif", "webp", "jpeg"],
            {"jxl": 0.5, "avif": 0.3, "webp": 0.1, "jpeg": 0.1},
            id="each takes what those before it left",
        ),
        pytest.param(
            ["avif", "jxl", "png"], {"avif": 0.8, "jxl": 0, "png": 0.2}, id="inner second"
        ),
        pytest.param(["avif", "webp"], {"avif": 0.8, "webp": 0.1}, id="a tenth sees nothing"),
    ],
)
def test_a_viewer_takes_the_first_format_that_it_accepts(formats, expected):
    assert serving_shares(formats, SEEN) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("bytes_of", "order"),
    [
        pytest.param({"jpeg": 90, "avif": 50, "webp": 70}, ("avif", "webp", "jpeg"), id="by bytes"),
        pytest.param({"jpeg": 90, "avif": 70, "webp": 50}, ("webp", "jpeg"), id="webp beats avif"),
        pytest.param({"jpeg": 90, "avif": 95}, ("jpeg",), id="no smaller than the fallback"),
        pytest.param({"jpeg": 90, "png": 40}, ("png",), id="two that all accept"),
        pytest.param({"jxl": 40, "avif": 50}, ("jxl", "avif"), id="no fallback for all"),
        pytest.param({}, (), id="nothing"),
    ],
)
def test_formats_are_offered_smallest_first_and_none_that_nobody_would_take(bytes_of, order):
    assert serving_order(bytes_of, SEEN) == order


@given(bytes_of=sizes, audience=shares)
def test_in_serving_order_every_viewer_gets_the_smallest_file_that_it_accepts(bytes_of, audience):
    order = serving_order(bytes_of, audience)
    served = serving_shares(order, audience)
    assert sum(served.values()) == pytest.approx(max(audience[name] for name in bytes_of))
    for viewer in (0.05, 0.35, 0.65, 0.95):  # who accepts what more than this share accept
        accepted = [size for name, size in bytes_of.items() if audience[name] > viewer]
        if accepted:
            taken = next(name for name in order if audience[name] > viewer)
            assert bytes_of[taken] == min(accepted)


def test_a_recipe_names_only_the_shares_that_differ_from_the_worlds():
    assert _recipe(audience={"avif": 0.5}).audience == {**AUDIENCE, "avif": 0.5}
    assert _recipe().audience == AUDIENCE


@pytest.mark.parametrize(
    "audience",
    [{"avif": 1.01}, {"avif": -0.1}, {"avif": float("nan")}, {"gif": 1}],
    ids=["above 1", "below 0", "not a number", "unknown format"],
)
def test_a_share_that_is_none_is_refused_by_its_path(audience):
    with pytest.raises(ValidationError, match="audience"):
        _recipe(audience=audience)
