"""Gain or noise: what `pixfleet tune` makes of measurements."""

from __future__ import annotations

import random

import pytest

from pixfleet.workers.measurement import busy_s
from pixfleet.workers.spend.gain import judge


def test_a_value_that_is_cheaper_round_after_round_is_chosen():
    verdict = judge({"2": [10.0, 11.0, 10.5], "4": [8.0, 8.9, 8.4]}, "2")

    assert verdict.chosen == "4"
    assert verdict.gains["4"].share == pytest.approx(0.2, abs=0.01)


def test_a_machine_that_slows_down_for_all_values_hides_no_gain():
    verdict = judge({"2": [10.0, 20.0, 40.0], "4": [8.0, 16.1, 31.9]}, "2")

    assert verdict.chosen == "4"


@pytest.mark.parametrize(
    "other",
    [[8.0, 12.0, 9.0], [9.8, 9.9, 9.85], [12.0, 12.1, 12.2]],
    ids=["within the noise", "too little to be worth it", "dearer"],
)
def test_the_present_value_stays_where_another_one_is_not_surely_cheaper(other):
    assert judge({"2": [10.0, 10.0, 10.0], "4": other}, "2").chosen == "2"


def test_one_round_tells_nothing_however_large_the_gain():
    verdict = judge({"2": [10.0], "4": [1.0]}, "2")

    assert verdict.chosen == "2"
    assert not verdict.gains["4"].sure


def test_of_several_better_values_the_cheapest_one_that_may_be_taken_is_chosen():
    costs = {"1": [10.0, 10.1, 10.0], "2": [7.0, 7.1, 7.0], "4": [5.0, 5.1, 5.0]}

    assert judge(costs, "1").chosen == "4"
    assert judge(costs, "1", frozenset({"1", "2"})).chosen == "2"


@pytest.mark.parametrize("rounds", [2, 3, 5])
def test_values_that_are_all_alike_seldom_have_one_called_better(rounds):
    rng = random.Random(rounds)
    wrong = 0
    for _ in range(400):
        costs = {str(n): [rng.lognormvariate(0, 0.15) for _ in range(rounds)] for n in range(4)}
        wrong += judge(costs, "0").chosen != "0"

    assert wrong / 400 < 0.09


def test_values_need_the_same_rounds():
    with pytest.raises(ValueError, match="every round"):
        judge({"2": [10.0, 11.0], "4": [8.0]}, "2")


def test_what_children_wait_for_the_last_one_is_not_the_works():
    # Two children: 4 s + 6 s and 5 s + 1 s; the second one is idle for the last 4 s.
    assert busy_s([104.0, 105.0, 106.0, 110.0], 2, wall_s=10.0) == pytest.approx(8.0)
    assert busy_s([105.0, 105.0, 110.0, 110.0], 2, wall_s=10.0) == pytest.approx(10.0)
