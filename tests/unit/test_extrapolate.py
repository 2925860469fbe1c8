"""Totals of all images from a sample of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pixfleet.workers.spend.extrapolate import Extrapolation, draw, share

FOLDERS = 300


def folder(seed: int, images: int):
    """Sizes as folders have them, and a measure that follows them loosely."""
    rng = np.random.default_rng(seed)
    sizes = rng.lognormal(0, 1, images)
    return sizes, sizes * rng.lognormal(0, 0.4, images)


def told(sizes, measure, count: int, seed: int):
    chosen = draw(list(sizes), count, seed)
    return Extrapolation({"bytes": sizes}, chosen, seed).total(measure[chosen])


def test_a_census_is_exact_and_leaves_no_interval():
    sizes, measure = folder(1, 40)

    total = told(sizes, measure, 40, 1)

    assert total.expected == pytest.approx(measure.sum(), rel=1e-12)
    assert total.interval.low == pytest.approx(total.interval.high, rel=1e-12)


def test_what_is_proportional_to_bytes_is_told_exactly_from_any_sample():
    sizes, _ = folder(2, 100)

    total = told(sizes, 3 * sizes, 5, 2)

    assert total.by == "bytes"
    assert total.expected == pytest.approx(3 * sizes.sum())


def test_what_is_alike_for_every_image_is_told_by_their_number():
    sizes, _ = folder(3, 100)

    total = told(sizes, np.full(100, 7.0), 5, 3)

    assert total.by == "images"
    assert total.expected == pytest.approx(700)


@pytest.mark.parametrize(("images", "count"), [(12, 8), (100, 8), (100, 20), (1000, 20)])
def test_estimates_are_right_on_average_and_intervals_hold_the_truth_as_often_as_they_say(
    images, count
):
    off, covered = [], 0
    for seed in range(FOLDERS):
        sizes, measure = folder(seed, images)
        total = told(sizes, measure, count, seed)
        off.append(total.expected / measure.sum() - 1)
        covered += total.interval.low <= measure.sum() <= total.interval.high

    assert abs(np.mean(off)) < 0.03
    assert 0.84 < covered / FOLDERS < 0.96


def test_every_image_is_as_likely_as_any_other_to_be_in_the_sample():
    sizes = np.arange(30.0)
    times = np.zeros(30)
    for seed in range(2_000):
        chosen = draw(list(sizes), 7, seed)
        assert len(set(chosen)) == 7
        times[chosen] += 1

    assert times / 2_000 == pytest.approx(np.full(30, 7 / 30), abs=0.05)


def test_a_sample_holds_small_and_large_images_in_proportion():
    sizes = [1.0] * 50 + [1000.0] * 50

    assert sum(sizes[place] > 1 for place in draw(sizes, 10, 5)) == 5


def test_a_sum_of_measures_is_told_as_their_measures_are():
    sizes, measure = folder(4, 50)
    chosen = draw(list(sizes), 10, 4)
    known = Extrapolation({"bytes": sizes}, chosen, 4)
    one, other = known.total(measure[chosen]), known.total(5 * measure[chosen])

    both = (one + other).interval

    assert both.expected == pytest.approx(6 * one.expected)
    assert both.high == pytest.approx(6 * one.interval.high)


def test_a_total_is_never_below_what_the_sample_alone_took():
    sizes = [1.0, 1.0, 1.0]
    known = Extrapolation({"bytes": sizes}, [0, 1], 0)

    assert known.total([100.0, 0.0]).interval.low >= 100


def test_one_image_of_several_has_no_upper_end():
    interval = Extrapolation({"bytes": [1.0, 2.0]}, [0], 0).total([5.0]).interval

    assert (interval.expected, interval.low) == (10, 5)
    assert math.isinf(interval.high)


def test_images_that_were_not_measured_take_what_their_bytes_foretell():
    sizes = [1.0, 2.0, 3.0, 4.0, 10.0]

    each = Extrapolation({"bytes": sizes}, [0, 1, 3], 0).each([2.0, 4.0, 8.0])

    assert each.tolist() == pytest.approx([2, 4, 6, 8, 20])


@pytest.mark.parametrize("count", [0, -3], ids=["none", "fewer"])
def test_a_sample_of_nothing_is_refused(count):
    with pytest.raises(ValueError, match="tells nothing"):
        draw([1.0, 2.0], count, 0)


def test_what_was_not_seen_in_a_sample_may_still_be_there():
    failed = share(0, 20, 1_000)

    assert (failed.expected, failed.low) == (0, 0)
    assert 50 < failed.high < 150


def test_what_was_seen_in_a_census_is_all_there_is():
    failed = share(3, 20, 20)

    assert (failed.expected, failed.low, failed.high) == (3, 3, 3)
