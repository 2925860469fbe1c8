from __future__ import annotations

import math

import pytest

from pixfleet.workers.imaging.codec import QualityScale
from pixfleet.workers.imaging.search import Probe, predicted_quality, search
from pixfleet.workers.imaging.texture import Texture

TYPICAL = ((10, 60.0), (50, 40.0), (75, 28.0), (90, 18.0), (100, 8.0))
SCALE = QualityScale(tuple(range(10, 101)), TYPICAL, predictor=(0.0, 0.1, 0, 0, 0, 0, 0, 0))
TARGETS = (55.0, 62.5, 75.0, 85.0, 90.0)


def encoder(excess: float, bend: float = 1.0, ceiling: float = 100.0):
    """An encoder whose distortion is ``excess`` times the typical one to the power ``bend``."""

    def trial(quality: float) -> Probe:
        left, right = (
            max(p for p in TYPICAL if p[0] <= quality),
            min(p for p in TYPICAL if p[0] >= quality),
        )
        share = 0 if left == right else (quality - left[0]) / (right[0] - left[0])
        typical = left[1] + share * (right[1] - left[1])
        score = min(ceiling, 100 - excess * typical**bend)
        return Probe(quality, b"x" * round(1000 * math.exp(quality / 30)), score)

    return trial


@pytest.mark.parametrize("start", [10, 60, 100], ids=lambda start: f"from {start}")
@pytest.mark.parametrize("excess", [0.8, 1.0, 1.1], ids=["easy", "typical", "hard"])
@pytest.mark.parametrize("target", TARGETS)
def test_five_probes_land_in_the_window_from_anywhere(target, excess, start):
    outcome = search(encoder(excess), SCALE, target, start=start, max_probes=5)
    assert outcome.reached
    assert outcome.probes <= 5
    assert outcome.best.score >= target - 0.5
    too_good_by_a_step = encoder(excess)(outcome.best.quality - 1).score < target - 0.5
    assert outcome.best.score <= target + 1.0 or too_good_by_a_step


def test_an_unlike_curve_still_lands_in_the_window():
    outcome = search(encoder(0.12, bend=1.6), SCALE, 75.0, start=75, max_probes=5)
    assert 74.5 <= outcome.best.score <= 76.0


def test_an_unreachable_target_gives_the_best_score_and_says_so():
    outcome = search(encoder(1.0, ceiling=70.0), SCALE, 90.0, start=80, max_probes=5)
    assert not outcome.reached
    assert outcome.topped
    assert outcome.best.score == 70.0


def test_the_smallest_passing_probe_wins():
    outcome = search(encoder(1.0), SCALE, 75.0, start=100, max_probes=2)
    assert outcome.reached
    assert outcome.best.quality < 100


def test_bytes_that_no_longer_shrink_end_the_search():
    seen = []

    def flat(quality: float) -> Probe:
        seen.append(quality)
        return Probe(quality, b"header", 99.0)

    assert search(flat, SCALE, 75.0, start=75, max_probes=5).reached
    assert len(seen) == 2


def test_a_hopeless_search_stops_at_once():
    outcome = search(
        encoder(1.0), SCALE, 75.0, start=10, max_probes=5, hopeless=lambda probe: probe.score < 50
    )
    assert outcome.abandoned
    assert outcome.probes == 1


def test_a_capped_encoder_is_left_early_when_there_is_a_better_one():
    capped = encoder(1.0, ceiling=60.0)
    outcome = search(capped, SCALE, 75.0, start=70, max_probes=5, give_up_when_capped=True)
    assert outcome.topped
    assert outcome.probes == 2


def test_no_quality_is_tried_twice():
    seen = []

    def trial(quality: float) -> Probe:
        assert quality not in seen
        seen.append(quality)
        return encoder(1.0)(quality)

    search(trial, SCALE, 76.3, start=40, max_probes=8)


def test_a_busier_texture_starts_at_a_higher_quality():
    calm = Texture(1.0, 0.0, 0, 0, 0, 0, 0, 0)
    busy = calm._replace(gradient=3.0)
    assert predicted_quality(SCALE, busy, 75.0) > predicted_quality(SCALE, calm, 75.0)
