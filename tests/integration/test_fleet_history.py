"""Columns of the fleet's past, of rows on a real Valkey."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
import redis

from pixfleet.workers.monitor.collect import FleetReader
from pixfleet.workers.monitor.fleet_history import SPANS, FleetHistory
from pixfleet.workers.monitor.histogram import Histogram
from pixfleet.workers.monitor.history import History


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connection:
        yield connection


@pytest.fixture
def remember(client):
    """Keeps a reading of so many seconds ago, when so many images had ended."""
    now, history = FleetReader(client).read(), History(client)

    def keep(back_s, images, **more):
        totals = {
            "images": images,
            "pixels": images * 2_000_000,
            "fleet_nano_usd": images * 1_000_000,
        }
        history.record(replace(now, at_s=now.at_s - back_s, totals=totals, **more))

    return keep


def read(client, span):
    """What a page gets."""
    return json.loads(json.dumps(FleetHistory(client).read(span), allow_nan=False))


@pytest.mark.parametrize("span", SPANS)
def test_a_fleet_without_a_past_has_empty_columns(client, span):
    found = read(client, span)
    assert found["at_s"] == found["images_per_s"] == found["workers"] == []
    assert found["latencies"] == found["failures"] == {}
    assert found["until_s"] - found["from_s"] >= 3_600


def test_columns_tell_what_came_about_in_each_step(client, remember):
    remember(130, 0)
    remember(100, 60, workers=3, hour_usd=Decimal("0.5"))
    remember(70, 60, workers=2)
    found = read(client, "1h")
    assert found["images_per_s"] == [2, 0]
    assert found["megapixels_per_s"] == [4, 0]
    assert found["workers"] == [3, 2]
    assert [Decimal(usd) for usd in found["usd_per_hour"]] == [Decimal("7.2"), 0]
    assert found["machines_usd_per_hour"] == ["0.5", "0"]


def test_where_nobody_looked_is_null_and_not_nought(client, remember):
    remember(600, 0, failures={"image_corrupt": 1})
    remember(120, 50, failures={"image_corrupt": 9})
    remember(105, 50, failures={"image_corrupt": 9})
    found = read(client, "1h")
    assert found["images_per_s"] == [None, 0]
    assert found["failures"] == {}
    assert found["usd_per_hour"] == [None, "0"]


def test_the_code_that_failed_most_comes_first_and_counts_by_step(client, remember):
    remember(60, 0, failures={"image_corrupt": 5})
    remember(45, 9, failures={"image_corrupt": 6, "store_denied": 3})
    remember(30, 9, failures={"image_corrupt": 7, "store_denied": 3})
    found = read(client, "1h")["failures"]
    assert list(found.items()) == [("store_denied", [3, 0]), ("image_corrupt", [1, 1])]


def test_percentiles_are_of_what_ended_in_each_step(client, remember):
    remember(60, 0, took={"stage:decode": Histogram({0: 100}, 1)})
    remember(45, 9, took={"stage:decode": Histogram({0: 100, 20: 10}, 2)})
    remember(30, 9, took={"stage:decode": Histogram({0: 100, 20: 10}, 2)})
    found = read(client, "1h")["latencies"]["stage:decode"]
    assert found["p50_s"][0] == pytest.approx(1.0, rel=0.5)
    assert found["p99_s"][0] >= found["p95_s"][0] >= found["p50_s"][0]
    assert found["p50_s"][1] is None
