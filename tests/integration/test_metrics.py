"""What a monitor process serves to Prometheus: names, values, hostile labels, outages, clocks."""

from __future__ import annotations

import datetime as dt
import json
import re
import socket
import time
from decimal import Decimal
from pathlib import Path

import pytest
import redis

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.config.prices import to_nano
from pixfleet.workers.monitor.collect import FleetReader
from pixfleet.workers.spend.budgets import BudgetBook
from tests.brokers import LoopbackBroker
from tests.chaos.skew import compile_skew
from tests.monitoring import monitoring

from .spending import CENT, finish, ledger_of, spend

TOP = Path(__file__).parents[2]
NAME = re.compile(r"\bpixfleet_\w+")
HOSTILE = 'recipe:<img src=x onerror=alert(1)> "q" \\ {a="b"} \n # TYPE x 1 \u202e é'


def owned(client, **nano_usd: int) -> None:
    today = dt.datetime.fromtimestamp(client.time()[0], dt.UTC).date()
    client.hset(f"{keys.OWNED}day:{today}", mapping=nano_usd)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A ledger that has seen something of everything, and the monitor of it."""
    folder = tmp_path_factory.mktemp("monitor")
    with LoopbackBroker(folder / "broker") as broker:
        client = broker.client
        ledger = ledger_of(client)
        for wall_s in (0.0005, 0.01, 0.3, 7.0):
            finish(ledger, wall_s=wall_s)
        finish(ledger, codes=["image_corrupt", "store_denied"])
        spend(ledger, CENT, tenant="acme")
        BudgetBook(ledger).put(
            [
                Budget(owner="fleet", period="day", limit_usd=Decimal(5)),
                Budget(owner="tenant:acme", period="month", limit_usd=CENT / 2),
            ]
        )
        now = dt.datetime.now(dt.UTC)
        for hours in range(1, 30):
            hour = now - dt.timedelta(hours=hours)
            client.hincrby(f"{keys.OWNED}hour:{hour:%Y-%m-%dT%H}", "fleet", to_nano(CENT))
        with monitoring(broker.url, folder) as monitor:
            monitor.client = client
            monitor.until(lambda values: "pixfleet_budget_expected_usd" in {n for n, *_ in values})
            yield monitor


def test_the_page_of_metrics_names_exactly_what_there_is_with_its_type_and_labels(fleet):
    rows = re.findall(
        r"^\| `(pixfleet_\w+)(?:\{([\w,]+)\})?` \| (\w+) \|",
        (TOP / "docs/metrics.md").read_text(),
        re.MULTILINE,
    )
    documented = {name: (kind, set(filter(None, labels.split(",")))) for name, labels, kind in rows}
    served = {
        name + "_total" * (family.type == "counter"): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for name, family in fleet.families().items()
    }
    assert documented == served


def test_the_dashboard_and_the_alerts_ask_for_nothing_that_there_is_not(fleet):
    served = {sample.name for one in fleet.families().values() for sample in one.samples}
    dashboard = json.loads((TOP / "deploy/grafana/pixfleet.json").read_text())
    shown = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in NAME.findall(target["expr"])
    }
    rules = (TOP / "deploy/prometheus/alerts.yml").read_text()
    asked = {
        name
        for expr in re.findall(r"expr:(.*?)\n +(?:for|labels):", rules, re.DOTALL)
        for name in NAME.findall(expr)
    }
    assert len(shown) > 25
    assert len(asked) > 8
    assert shown | asked <= served
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in served}
    unseen = bases - {re.sub(r"_bucket$", "", name) for name in shown}
    assert unseen == {"pixfleet_build_info", "pixfleet_ledger_up"}


def test_values_are_those_of_the_ledger(fleet):
    reading, seen = FleetReader(fleet.client).read(), fleet.values()
    assert seen["pixfleet_images_done_total",] == reading.totals["done"] == 5
    assert seen["pixfleet_images_failed_total",] == 1
    assert seen["pixfleet_failures_total", "image_corrupt"] == 1
    assert seen["pixfleet_pixels_total",] == reading.totals["pixels"]
    assert seen["pixfleet_spent_usd_total",] == pytest.approx(float(reading.spent_usd))
    assert seen["pixfleet_today_usd", "tenant:acme"] == 0.01
    assert seen["pixfleet_budget_rung", "tenant:acme", "month"] == 3
    assert seen["pixfleet_budget_limit_usd", "fleet", "day"] == 5
    assert 0.01 <= seen["pixfleet_budget_expected_usd", "fleet", "day"] < 5
    assert ("pixfleet_budget_expected_usd", "tenant:acme", "month") not in seen


def test_a_histogram_counts_every_job_in_all_buckets_that_hold_it(fleet):
    seen = fleet.values()
    buckets = {
        float(name[1]): value
        for name, value in seen.items()
        if (name[0], name[-1]) == ("pixfleet_stage_seconds_bucket", "decode")
    }
    assert [buckets[bound] for bound in (0.001, 0.008, 0.016, 0.512, 8.192)] == [1, 1, 2, 4, 5]
    assert buckets[float("inf")] == seen["pixfleet_stage_seconds_count", "decode"] == 5
    assert seen["pixfleet_stage_seconds_sum", "decode"] == pytest.approx(7.4105, abs=1e-4)
    assert list(buckets.values()) == sorted(buckets.values())


def test_what_a_stranger_calls_its_recipe_stays_one_label_of_one_metric(fleet):
    owned(fleet.client, **{HOSTILE: 7})
    fleet.client.hset(f"{keys.OWNED}day:{dt.datetime.now(dt.UTC).date()}", b"tenant:\xff", 9)
    seen = fleet.until(lambda values: ("pixfleet_today_usd", HOSTILE) in values)
    assert seen["pixfleet_today_usd", HOSTILE] == 7e-9
    assert seen["pixfleet_today_usd", "tenant:\ufffd"] == 9e-9
    assert not {name for name, *_ in seen if not NAME.fullmatch(name)}


def test_a_thousand_tenants_workers_and_codes_are_few_labels_and_no_money_is_missing(fleet):
    client, now = fleet.client, fleet.client.time()[0]
    owned(client, **{f"tenant:t{n:04}": 1_000_000 + n for n in range(1000)})
    client.hset(keys.SEEN, mapping={f"failed|code_{n}": 1 + n for n in range(1000)})
    client.zadd(keys.WORKERS, {f"celery@{n}": now for n in range(1000)})
    seen = fleet.until(lambda values: values["pixfleet_workers",] == 1000)
    seen = fleet.until(lambda values: ("pixfleet_today_usd", "other tenants") in values)
    tenants = {
        name[1]: value
        for name, value in seen.items()
        if name[0] == "pixfleet_today_usd" and "tenant" in name[1]
    }
    assert len(tenants) == 51
    assert sum(tenants.values()) > sum(1_000_000 + n for n in range(1000)) / 1e9
    codes = [value for name, value in seen.items() if name[0] == "pixfleet_failures_total"]
    assert len(codes) == 51
    assert sum(codes) >= sum(range(1, 1001))
    assert len(seen) < 600


def test_who_connects_and_says_nothing_keeps_nobody_waiting(fleet):
    with socket.create_connection(("127.0.0.1", fleet.port)):
        began_s = time.monotonic()
        assert fleet.get("/healthz") == (200, "ok\n")
        assert time.monotonic() - began_s < 5


def test_while_redis_is_away_counters_stay_and_gauges_are_not_invented(tmp_path):
    with LoopbackBroker(tmp_path / "broker") as broker:
        finish(ledger_of(broker.client))
        with monitoring(broker.url, tmp_path) as monitor:
            before, kinds = monitor.values(), monitor.families()
            broker.kill()
            monitor.until(lambda values: values["pixfleet_ledger_up",] == 0)
            assert monitor.get("/healthz")[0] == 503
            away = monitor.families()
            assert {name for name, one in away.items() if one.type == "gauge"} == {
                "pixfleet_ledger_up",
                "pixfleet_build_info",
            }
            assert [one for one in away.values() if one.type != "gauge"] == [
                one for one in kinds.values() if one.type != "gauge"
            ]
            broker.start()
            back = monitor.until(lambda values: values["pixfleet_ledger_up",] == 1)
            assert monitor.get("/healthz") == (200, "ok\n")
            assert back["pixfleet_images_done_total",] == 1
            assert {name for name, *_ in back} == {name for name, *_ in before}


@pytest.fixture(scope="module")
def skew(tmp_path_factory):
    """The library that makes a process' wall clock wrong."""
    library = compile_skew(tmp_path_factory.mktemp("skew"))
    if library is None:
        pytest.skip("no compiler")
    return str(library)


def test_a_monitor_whose_clock_is_a_day_off_sees_the_fleet_as_it_is(valkey, skew, tmp_path):
    with redis.Redis.from_url(valkey.redis_url) as client:
        client.zadd(keys.WORKERS, {"celery@a": client.time()[0]})
        spend(ledger_of(client), CENT)
    environment = {"LD_PRELOAD": skew, "PIXFLEET_TEST_SKEW_S": "86400"}
    with monitoring(valkey.url, tmp_path, **environment) as monitor:
        seen = monitor.until(lambda values: ("pixfleet_workers",) in values)
    assert seen["pixfleet_workers",] == 1
    assert seen["pixfleet_today_usd", "fleet"] == 0.01


def test_a_redis_whose_clock_jumps_back_an_hour_is_read_on(skew, tmp_path, monkeypatch):
    with LoopbackBroker(tmp_path / "broker") as broker:
        finish(ledger_of(broker.client))
        with monitoring(broker.url, tmp_path) as monitor:
            before_s = broker.client.time()[0]
            broker.kill()
            monitor.until(lambda values: values["pixfleet_ledger_up",] == 0)
            with monkeypatch.context() as patch:
                patch.setenv("LD_PRELOAD", skew)
                patch.setenv("PIXFLEET_TEST_SKEW_S", "-3600")
                broker.start()
            assert broker.client.time()[0] < before_s - 3000
            monitor.until(lambda values: values["pixfleet_ledger_up",] == 1)
            finish(ledger_of(broker.client))
            monitor.until(lambda values: values["pixfleet_images_done_total",] == 2)
            assert "Traceback" not in monitor.log
