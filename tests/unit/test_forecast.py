"""Forecasts against what came then, on histories that were made up."""

from __future__ import annotations

import datetime as dt
import math
import random
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixfleet.workers.spend.forecast import forecast

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
START = dt.datetime(2026, 9, 7, tzinfo=dt.UTC)  # a Monday
DAYS = 90
USD = 1e9


def steady(chance, _at, _age_d):
    return chance.lognormvariate(0, 0.2)


def daily(chance, at, _age_d):
    return (1 + 0.9 * math.sin(at.hour / 12 * math.pi)) * chance.lognormvariate(0, 0.3)


def office(chance, at, _age_d):
    """Nothing at night and on weekends."""
    open_ = at.weekday() < 5 and 8 <= at.hour < 18
    return chance.lognormvariate(0, 0.3) * open_


def rising(chance, at, age_d):
    return daily(chance, at, age_d) * 1.03**age_d


def falling(chance, at, age_d):
    return daily(chance, at, age_d) * 0.97**age_d


def bursty(chance, _at, _age_d):
    """Nearly nothing, and now and then an hour that costs a hundred times as much."""
    return 20 * chance.random() if chance.random() < 0.05 else 0.02


def nightly(chance, at, _age_d):
    """A large run in each week's last night."""
    return 30 * chance.lognormvariate(0, 0.3) if at.weekday() == 6 and at.hour < 6 else 0.1


KINDS = (steady, daily, office, rising, falling, bursty, nightly)


def period(kind: str, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == "day":
        return day, day + DAY
    if kind == "week":
        monday = day - dt.timedelta(days=day.weekday())
        return monday, monday + dt.timedelta(days=7)
    first = day.replace(day=1)
    return first, (first + dt.timedelta(days=32)).replace(day=1)


class World:
    """Hours that are known to the end."""

    def __init__(self, kind, seed: int) -> None:
        chance = random.Random(seed)
        self.hours = [
            (START + HOUR * hour, int(USD * kind(chance, START + HOUR * hour, hour / 24)))
            for hour in range(DAYS * 24)
        ]
        self._sums = [0]
        for _, nano in self.hours:
            self._sums.append(self._sums[-1] + nano)

    def until(self, at: dt.datetime) -> int:
        whole, part = divmod((at - START) / HOUR, 1)
        more = self.hours[int(whole)][1] * part if part else 0
        return self._sums[int(whole)] + round(more)

    def known(self, now: dt.datetime) -> list[tuple[dt.datetime, int]]:
        whole = int((now - START) / HOUR)
        this = self.hours[whole][0]
        return [*self.hours[:whole], (this, self.until(now) - self.until(this))]


@dataclass
class Score:
    """Of one kind of history: forecasts, how many intervals held, sums of errors."""

    count: int = 0
    held: int = 0
    error: float = 0
    naive: float = 0


def score(kind, length: str) -> Score:
    """Against the truth, and against a forecast that knows only the period's mean so far."""
    found = Score()
    for seed in (1, 2):
        world = World(kind, seed)
        for hour in range(30 * 24, 58 * 24, 53):
            now = START + HOUR * hour + dt.timedelta(minutes=17 * hour % 60)
            start, end = period(length, now)
            spent, truth = (world.until(at) - world.until(start) for at in (now, end))
            seen = forecast(world.known(now), now, start, end, spent)
            low, expected, high = (
                float(money) * USD for money in (seen.low_usd, seen.expected_usd, seen.high_usd)
            )
            found.count += 1
            found.held += low - 1 <= truth <= high + 1
            found.error += abs(expected - truth)
            passed = (now - start) / (end - start)
            found.naive += abs(spent / passed - truth) if passed else truth
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_forecast_errs_less_than_the_mean_so_far_and_its_interval_holds(kind):
    scores = {length: score(kind, length) for length in ("day", "week", "month")}
    for length, one in scores.items():
        assert one.error <= one.naive, (length, one)
        assert one.held >= 0.75 * one.count, (length, one)
    assert sum(one.held for one in scores.values()) >= 0.82 * sum(
        one.count for one in scores.values()
    )


def test_over_all_histories_the_interval_holds_in_nine_cases_of_ten():
    scores = [score(kind, "week") for kind in KINDS]
    held = sum(one.held for one in scores) / sum(one.count for one in scores)
    assert 0.88 <= held <= 0.99
    assert sum(one.error for one in scores) < 0.6 * sum(one.naive for one in scores)


def test_an_interval_is_no_wider_than_the_history_is_uncertain():
    now = START + 29 * DAY + 12 * HOUR
    start, end = period("week", now)
    widths = []
    for kind in (steady, bursty):
        world = World(kind, 1)
        seen = forecast(world.known(now), now, start, end, world.until(now) - world.until(start))
        widths.append(float((seen.high_usd - seen.low_usd) / seen.expected_usd))
    assert 0.05 < widths[0] < 0.4 < 3 * widths[0] < widths[1]


def test_the_weekend_of_a_fleet_that_rests_is_expected_to_cost_next_to_nothing():
    world = World(office, 1)
    friday = START + 32 * DAY + 20 * HOUR
    start, end = period("week", friday)
    spent = world.until(friday) - world.until(start)
    seen = forecast(world.known(friday), friday, start, end, spent)
    assert float(seen.expected_usd) * USD < 1.03 * spent
    monday = START + 35 * DAY + HOUR
    seen = forecast(world.known(monday), monday, *period("week", monday), 0)
    assert float(seen.expected_usd) * USD == pytest.approx(spent, rel=0.2)


def test_what_rises_is_expected_to_rise_on():
    world = World(rising, 1)
    now = START + 35 * DAY
    seen = forecast(world.known(now), now, now, now + 14 * DAY, 0)
    flat = 2 * (world.until(now) - world.until(now - 7 * DAY)) / USD
    truth = (world.until(now + 14 * DAY) - world.until(now)) / USD
    assert flat * 1.1 < float(seen.expected_usd) < truth * 1.1


def test_a_burst_just_now_counts_for_the_hours_ahead_more_than_for_the_month():
    quiet = [(START + HOUR * hour, 10**9) for hour in range(14 * 24)]
    now = START + 14 * DAY
    burst = [*quiet[:-3], *((at, 10 * nano) for at, nano in quiet[-3:])]
    by_length = {}
    for hours in (6, 14 * 24):
        before, after = (
            float(forecast(known, now, now, now + HOUR * hours, 0).expected_usd)
            for known in (quiet, burst)
        )
        by_length[hours] = after / before
    assert by_length[6] > 2
    assert by_length[14 * 24] < 1.5


def test_the_first_half_hour_of_a_month_gives_a_rate_and_a_wide_interval():
    start = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    now, end = start + HOUR / 2, start + 30 * DAY
    seen = forecast([(start, 10**9)], now, start, end, 10**9)
    assert float(seen.rate_usd_per_h) == pytest.approx(2)
    assert float(seen.expected_usd) == pytest.approx(2 * 720, rel=0.01)
    assert seen.low_usd < seen.expected_usd / 2
    assert seen.high_usd > seen.expected_usd * 2
    assert seen.history_h == pytest.approx(0.5)


@pytest.mark.parametrize("hours_ago", [0, 1], ids=["in-this-hour", "in-the-hour-before"])
def test_an_hour_that_was_counted_in_part_is_no_cheap_hour(hours_ago):
    now = START + 8 * HOUR + HOUR * 0.75
    first = START + HOUR * (8 - hours_ago)
    began = first + HOUR / 2
    spent = {first: 0.0, START + 8 * HOUR: 0.0}
    for minute in range(round((now - began) / dt.timedelta(minutes=1))):
        at = began + dt.timedelta(minutes=minute)
        spent[at.replace(minute=0)] += USD / 60
    hours = [(at, round(nano)) for at, nano in spent.items()]
    seen = forecast(hours, now, START, START + DAY, 0, began=began)
    assert float(seen.rate_usd_per_h) == pytest.approx(1, rel=0.01)
    assert seen.history_h == pytest.approx(hours_ago + 0.25)


@pytest.mark.parametrize(
    "hours",
    [
        pytest.param([], id="no-history"),
        pytest.param([(START + HOUR * hour, 0) for hour in range(100)], id="zeros"),
        pytest.param([(START - 60 * DAY, 10**12)], id="too-old"),
    ],
)
def test_without_any_spend_none_is_expected(hours):
    now = START + 5 * DAY
    seen = forecast(hours, now, START, START + 7 * DAY, 7)
    nothing = Decimal(7).scaleb(-9)
    assert seen.expected_usd == seen.low_usd == seen.high_usd == nothing
    assert seen.rate_usd_per_h == 0
    assert seen.reaches(Decimal(1)) is None


def test_a_limit_is_reached_when_the_course_says_so():
    hours = [(START + HOUR * hour, 10**9) for hour in range(48)]
    now = START + 2 * DAY
    seen = forecast(hours, now, START, START + 7 * DAY, 48 * 10**9)
    reached = seen.reaches(Decimal(100))
    assert reached
    assert abs(reached - (START + 100 * HOUR)) < HOUR
    assert seen.reaches(Decimal(48)) == now
    assert seen.reaches(Decimal(10)) == now
    assert seen.reaches(Decimal(200)) is None
    assert [at for at, _ in seen.course] == sorted(at for at, _ in seen.course)
    assert seen.course[-1][0] == START + 7 * DAY


def test_the_same_question_has_the_same_answer():
    world = World(bursty, 3)
    now = START + 40 * DAY
    asked = (world.known(now), now, now, now + 7 * DAY, 0)
    assert forecast(*asked) == forecast(*asked)


def test_a_moment_outside_the_period_is_refused():
    with pytest.raises(ValueError, match="not in the period"):
        forecast([], START, START - DAY, START, 0)


@settings(max_examples=60, deadline=None)
@given(
    amounts=st.lists(
        st.one_of(st.just(0), st.integers(-(10**12), 10**15), st.integers(0, 3)), max_size=500
    ),
    minute=st.integers(0, 59),
    ahead_h=st.sampled_from([1, 5, 24, 168, 744]),
    spent=st.integers(0, 10**15),
)
def test_whatever_the_hours_say_the_answer_is_a_finite_sum_of_money(
    amounts, minute, ahead_h, spent
):
    hours = [(START + HOUR * hour, nano) for hour, nano in enumerate(amounts)]
    now = START + HOUR * len(amounts) + dt.timedelta(minutes=minute)
    start = now.replace(minute=0)
    seen = forecast(hours, now, start, start + HOUR * ahead_h, spent)
    money = (seen.low_usd, seen.expected_usd, seen.high_usd)
    assert all(one.is_finite() for one in (*money, seen.rate_usd_per_h))
    assert Decimal(spent).scaleb(-9) <= money[0] <= money[1] <= money[2]
    assert seen.rate_usd_per_h >= 0
