"""Which figures a scrape shows, and how few labels they have."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry

from pixfleet.config.budgets import Budget
from pixfleet.workers.monitor.cloudwatch import metric_data
from pixfleet.workers.monitor.collect import Reading
from pixfleet.workers.monitor.histogram import Histogram
from pixfleet.workers.monitor.labels import MOST, NamedFew, largest
from pixfleet.workers.monitor.metrics import FleetMetrics
from pixfleet.workers.monitor.rates import rates
from pixfleet.workers.monitor.snapshot import Snapshot
from pixfleet.workers.spend.budgets import Standing

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)


def reading(at_s: float = 0, **changes) -> Reading:
    fields = {
        "queued": {"bulk": 3},
        "oldest_s": {"bulk": 7.5},
        "held": 0,
        "running": 1,
        "workers": 2,
        "at_risk": 0,
        "draining": 0,
        "hour_usd": Decimal("0.0726"),
        "totals": {"images": 4, "done": 4},
        "took": {},
        "failures": {},
    }
    return Reading(at_s=at_s, **{**fields, **changes})


def standing(owner: str, spent: str = "1", ends_at: dt.datetime = NOW) -> Standing:
    budget = Budget(owner=owner, period="day", limit_usd=Decimal(2))
    return Standing(budget, Decimal(spent), "normal", NOW, 0, ends_at)


def shown(metrics: FleetMetrics) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(metrics)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_what_nobody_has_read_for_long_is_not_called_the_present():
    metrics = FleetMetrics(fresh_s=-1)
    metrics.show(Snapshot(reading(), {}, (), 0.1))
    seen = shown(metrics)
    assert metrics.current is None
    assert seen["pixfleet_ledger_up",] == 0
    assert seen["pixfleet_images_done_total",] == 4
    assert ("pixfleet_workers",) not in seen


def test_before_the_first_reading_nothing_is_counted():
    seen = shown(FleetMetrics())
    assert {name for name, *_ in seen} == {"pixfleet_ledger_up", "pixfleet_build_info"}
    assert seen["pixfleet_ledger_up",] == 0


def test_a_forecast_of_the_period_before_is_not_shown_and_none_is_below_what_was_spent():
    metrics = FleetMetrics()
    tomorrow = NOW + dt.timedelta(days=1)
    metrics.show(
        Snapshot(reading(), {}, (standing("fleet"), standing("tenant:a", "1", tomorrow)), 0)
    )
    metrics.expected_usd = {
        ("fleet|day", NOW): Decimal("0.9"),
        ("tenant:a|day", NOW): Decimal(5),
    }
    expected = {k: v for k, v in shown(metrics).items() if k[0] == "pixfleet_budget_expected_usd"}
    assert expected == {("pixfleet_budget_expected_usd", "fleet", "day"): 1}


def test_of_many_budgets_the_fleets_and_those_nearest_to_their_limits_are_shown():
    metrics = FleetMetrics()
    many = [standing(f"tenant:t{n}", f"{n / 1000}") for n in range(1, 500)]
    metrics.show(Snapshot(reading(), {}, (*many, standing("fleet", "0")), 0))
    owners = [key[1] for key in shown(metrics) if key[0] == "pixfleet_budget_rung"]
    assert len(owners) == 200
    assert {"fleet", "tenant:t499", "tenant:t301"} <= set(owners)
    assert "tenant:t300" not in owners


def test_who_is_named_stays_named_so_that_no_counter_falls():
    few = NamedFew(2)
    few.learn({"a": 1, "b": 3})
    few.learn({"a": 1, "b": 3, "c": 99})
    assert [few.label(name) for name in "abc"] == ["a", "b", "other"]


def test_the_largest_are_named_and_the_rest_is_not_lost():
    sums = {f"tenant:{n:03}": Decimal(n) for n in range(120)}
    found = largest(sums, "other tenants")
    assert len(found) == MOST + 1
    assert found["tenant:119"] == 119
    assert sum(found.values()) == sum(sums.values())
    assert largest({"a": Decimal(1)}, "rest") == {"a": 1}


def test_long_names_are_cut_and_those_that_become_the_same_are_added():
    found = largest({"x" * 150: Decimal(1), "x" * 150 + "y": Decimal(2)}, "rest")
    assert found == {"x" * 100: 3}


def test_cloudwatch_is_told_the_time_of_every_job_in_values_that_it_takes():
    before = reading(took={"job:total": Histogram({3: 5}, 1)})
    after = reading(10, took={"job:total": Histogram({3: 6, 20: 4, 42: 1}, 9)})
    data = metric_data(Snapshot(after, {}, (), 0), rates(before, after), "north")
    (times,) = [datum for datum in data if datum["MetricName"] == "JobTime"]
    assert times["Counts"] == [1, 4, 1]
    assert times["Values"] == sorted(times["Values"])
    assert times["Values"][1] == pytest.approx(1.024 / 2**0.25, rel=1e-3)
    assert all({"Name": "Fleet", "Value": "north"} in datum["Dimensions"] for datum in data)


def test_an_idle_fleet_without_budgets_is_ten_metrics():
    data = metric_data(Snapshot(reading(9), {}, (), 0), rates(reading(), reading(9)), "north")
    assert len(data) == 10
