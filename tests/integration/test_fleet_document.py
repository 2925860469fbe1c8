"""The fleet's view as JSON, against the ledger on a real Valkey."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest
import redis

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.workers.monitor.fleet_document import document, usd
from pixfleet.workers.monitor.fleet_view import FleetWatch
from pixfleet.workers.spend.budgets import BudgetBook

from .spending import CENT, ledger_of, spend
from .test_history import finish


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connection:
        yield connection


def look(watch):
    """What a program that reads the text gets."""
    return json.loads(json.dumps(document(watch.look()), allow_nan=False))


def test_what_is_not_known_yet_is_null_and_not_nought(client):
    said = look(FleetWatch(ledger_of(client)))
    assert (said["rates"], said["money"]["usd_per_hour"], said["budget"]) == (None, None, None)
    assert (said["queued"], said["oldest_s"], said["stages"], said["workers"]) == (0, 0, [], [])


def test_figures_of_the_document_are_those_of_the_ledger(client):
    ledger = ledger_of(client)
    client.zadd(keys.WORKERS, {"w": time.time()})
    client.hset(keys.WORKER + "w", mapping={"active": 1, "hour_nano_usd": 35_000_000})
    BudgetBook(ledger).put([Budget(owner="fleet", period="day", limit_usd=CENT)])
    watch = FleetWatch(ledger)
    watch.look()
    failed = finish(ledger, codes=["image_corrupt"], wall_s=0.1)
    spend(ledger, CENT)
    said = look(watch)
    assert said["totals"]["images"] == 2
    assert (said["totals"]["done"], said["totals"]["failed"]) == (1, 1)
    assert said["failures_1h"] == [{"code": "image_corrupt", "jobs": 1}]
    assert [(job["id"], job["code"]) for job in said["failed"]] == [(failed, "image_corrupt")]
    assert said["failed"][0]["ended_at_s"] == pytest.approx(time.time(), abs=30)
    assert {phase["name"] for phase in said["phases"]} == {"wait", "work", "total"}
    (decode,) = said["stages"]
    assert decode["name"] == "decode"
    assert 0.07 <= decode["p50_s"] <= 0.15
    assert said["money"]["today_usd"] == said["money"]["ever_usd"] == "0.01"
    assert said["money"]["machines_usd_per_hour"] == said["workers"][0]["hour_usd"] == "0.035"
    assert Decimal(said["money"]["usd_per_hour"]) > 0
    assert (said["budget"]["owner"], said["budget"]["rung"]) == ("fleet", "closed")
    assert (said["budget"]["spent_usd"], said["budget"]["limit_usd"]) == ("0.01", "0.01")


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "0"), ("1000", "1000"), ("0.000000001", "0.000000001"), ("1.50", "1.5")],
)
def test_money_is_written_without_an_exponent(amount, text):
    assert usd(Decimal(amount)) == text
