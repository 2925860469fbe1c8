"""Whom the figures of a comparison favour, and when they favour nobody."""

from __future__ import annotations

import pytest

from pixfleet.workers.imaging.region_score import RegionScores
from pixfleet.workers.match import Match, Shown


def shown(size: int, score: float) -> Shown:
    return Shown("an encoder", 50, b"x" * size, RegionScores(None, None, score), score, 0.1)


def match(*, same_bytes: Shown, same_score: Shown) -> Match:
    return Match("75", shown(1000, 75.0), same_bytes, same_score)


@pytest.mark.parametrize(
    ("theirs", "verdict"),
    [
        pytest.param(shown(1010, 71.0), "pixfleet", id="they score less"),
        pytest.param(shown(990, 78.0), "fixed", id="they score more"),
        pytest.param(shown(1000, 75.4), "even", id="within half a point"),
        pytest.param(shown(1400, 71.0), "pixfleet", id="less for more bytes"),
        pytest.param(shown(700, 78.0), "fixed", id="more for fewer bytes"),
        pytest.param(shown(700, 71.0), "unmatched", id="less, but for fewer bytes"),
        pytest.param(shown(1400, 78.0), "unmatched", id="more, but for more bytes"),
        pytest.param(shown(1400, 75.0), "unmatched", id="as much, for more bytes"),
    ],
)
def test_at_the_same_bytes_the_higher_score_wins(theirs, verdict):
    assert match(same_bytes=theirs, same_score=theirs).verdict_at_same_bytes == verdict


@pytest.mark.parametrize(
    ("theirs", "verdict"),
    [
        pytest.param(shown(1200, 75.2), "pixfleet", id="they take more bytes"),
        pytest.param(shown(800, 74.8), "fixed", id="they take fewer bytes"),
        pytest.param(shown(1015, 75.0), "even", id="within two percent"),
        pytest.param(shown(1200, 70.0), "pixfleet", id="more bytes and less of a score"),
        pytest.param(shown(800, 80.0), "fixed", id="fewer bytes and more of a score"),
        pytest.param(shown(1200, 80.0), "unmatched", id="more bytes, but a higher score"),
        pytest.param(shown(800, 70.0), "unmatched", id="fewer bytes, but a lower score"),
    ],
)
def test_at_the_same_score_the_smaller_file_wins(theirs, verdict):
    assert match(same_bytes=theirs, same_score=theirs).verdict_at_same_score == verdict


def test_gains_are_positive_where_pixfleet_is_better_and_negative_where_it_is_worse():
    better = match(same_bytes=shown(1000, 71.0), same_score=shown(1250, 75.0))
    assert better.points_at_same_bytes == pytest.approx(4.0)
    assert better.saved_at_same_score == pytest.approx(0.2)
    worse = match(same_bytes=shown(1000, 77.0), same_score=shown(800, 75.0))
    assert worse.points_at_same_bytes == pytest.approx(-2.0)
    assert worse.saved_at_same_score == pytest.approx(-0.25)
