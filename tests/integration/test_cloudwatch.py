"""The fleet in CloudWatch: a real monitor process, moto as AWS, and the bill of it."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
import time
import uuid
from decimal import Decimal
from pathlib import Path

import boto3
import pytest
import redis

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.config.prices import to_nano
from pixfleet.config.settings import Settings, SettingsError
from pixfleet.workers.monitor.cloudwatch import CloudWatchThread
from pixfleet.workers.monitor.metrics import FleetMetrics
from pixfleet.workers.spend.book import SpendBook
from pixfleet.workers.spend.budgets import BudgetBook
from tests.brokers import free_port
from tests.monitoring import monitoring

from .spending import CENT, finish, ledger_of, spend

BOOKS = Path(__file__).parents[2] / "config/prices"
PIXFLEET = str(Path(sys.executable).with_name("pixfleet"))
QUICK = {
    "PIXFLEET_MONITOR_CLOUDWATCH_INTERVAL_S": "1",
    "PIXFLEET_MONITOR_CLOUDWATCH_FLEET": "north",
}


@pytest.fixture
def namespace():
    return f"test/{uuid.uuid4().hex[:8]}"


@pytest.fixture
def ledger(valkey):
    with redis.Redis.from_url(valkey.redis_url) as client:
        yield ledger_of(client)


@pytest.fixture
def cloudwatch(aws):
    return boto3.client("cloudwatch", endpoint_url=aws, region_name="us-east-1")


def charged(ledger) -> dict[str, int]:
    """Nano-dollars of the lines that CloudWatch has."""
    found: dict[str, int] = {}
    for entry in SpendBook(ledger).entries():
        if entry.line.startswith("cloudwatch"):
            found[entry.line] = found.get(entry.line, 0) + entry.amount
    return found


def clock_struck() -> bool:
    """A new hour began during the test, in which metrics cost again."""
    return dt.datetime.now(dt.UTC).minute < 2


def until(condition, within_s: float = 30):
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)
    return found


def statistics(cloudwatch, namespace, name, *statistics, **dimensions):
    names = {"Fleet": "north", **dimensions}
    now = dt.datetime.now(dt.UTC)
    return cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in names.items()],
        StartTime=now - dt.timedelta(minutes=10),
        EndTime=now + dt.timedelta(minutes=10),
        Period=3600,
        Statistics=list(statistics),
    )["Datapoints"]


def test_the_fleet_is_in_cloudwatch_and_what_that_costs_is_on_its_bill(
    valkey, ledger, cloudwatch, namespace, tmp_path
):
    BudgetBook(ledger).put([Budget(owner="fleet", period="day", limit_usd=Decimal(5))])
    spend(ledger, CENT)
    ledger.redis.zadd(keys.WORKERS, {"celery@a": time.time() + 60})
    environment = {**QUICK, "PIXFLEET_MONITOR_CLOUDWATCH_NAMESPACE": namespace}
    with monitoring(valkey.url, tmp_path, **environment) as monitor:
        until(lambda: charged(ledger).get("cloudwatch_request"))
        for _ in range(3):
            finish(ledger)
        finish(ledger, codes=["image_corrupt"])
        until(lambda: statistics(cloudwatch, namespace, "JobTime", "SampleCount"))
        assert "Traceback" not in monitor.log
    (rows,) = cloudwatch.get_paginator("list_metrics").paginate(Namespace=namespace)
    names = [row["MetricName"] for row in rows["Metrics"]]
    assert len(set(names)) == 10

    (workers,) = statistics(cloudwatch, namespace, "Workers", "Maximum")
    assert (workers["Maximum"], workers["Unit"]) == (1, "Count")
    (used,) = statistics(cloudwatch, namespace, "BudgetUsed", "Maximum", Period="day")
    assert used["Maximum"] >= 0.2
    (queued,) = statistics(cloudwatch, namespace, "QueuedJobs", "Maximum", Queue="bulk")
    assert queued["Maximum"] == 0
    (failures,) = statistics(cloudwatch, namespace, "FailuresPerSecond", "Maximum")
    assert failures["Maximum"] > 0
    assert statistics(cloudwatch, namespace, "JobTime", "Maximum")[0]["Maximum"] > 0

    lines = charged(ledger)
    requests = lines["cloudwatch_request"] / 10_000
    assert requests == int(requests) >= 2
    # Twelve metrics of 0.30 USD a month, one hour of them.
    hours = {round(12 * 0.30e9 / 24 / days) for days in (28, 29, 30, 31)}
    assert lines["cloudwatch_metric"] in hours or clock_struck()

    told = subprocess.run(
        [PIXFLEET, "spend", "--broker", valkey.url, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    shares = {row["name"]: Decimal(row["usd"]) for row in json.loads(told.stdout)["shares"]}
    assert to_nano(shares["cloudwatch_metric"]) == lines["cloudwatch_metric"]
    assert shares["cloudwatch_request"] > 0


@pytest.mark.usefixtures("aws")
def test_monitors_that_come_and_go_in_an_hour_pay_for_a_metric_once(
    valkey, ledger, namespace, tmp_path
):
    environment = {"PIXFLEET_MONITOR_CLOUDWATCH_NAMESPACE": namespace}  # once a minute
    bills = []
    for requests in (1, 2):
        with monitoring(valkey.url, tmp_path, **environment):
            until(lambda: charged(ledger).get("cloudwatch_request") == requests * 10_000)  # noqa: B023
            until(lambda: charged(ledger).get("cloudwatch_metric"))
        bills.append(charged(ledger)["cloudwatch_metric"])
    # Seven metrics of 0.30 USD a month: at first no rate is known.
    assert bills[0] in {round(7 * 0.30e9 / 24 / days) for days in (28, 29, 30, 31)}
    assert bills[1] == bills[0] or clock_struck()


@pytest.mark.usefixtures("aws")
def test_a_cloudwatch_that_is_away_is_logged_once_and_hurts_nobody(
    valkey, ledger, namespace, tmp_path
):
    environment = {
        **QUICK,
        "PIXFLEET_MONITOR_CLOUDWATCH_NAMESPACE": namespace,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
    }
    with monitoring(valkey.url, tmp_path, **environment) as monitor:
        until(lambda: "cloudwatch.away" in monitor.log)
        time.sleep(1.5)
        finish(ledger)
        monitor.until(lambda values: values["pixfleet_images_done_total",] == 1)
        assert monitor.get("/healthz")[0] == 200
        assert monitor.log.count("cloudwatch.away") == 1
        assert "Traceback" not in monitor.log
    assert charged(ledger) == {}


def test_a_price_book_without_its_prices_says_which_to_add(valkey, tmp_path, monkeypatch):
    text = (BOOKS / "own-hardware.toml").read_text()
    book = tmp_path / "mine.toml"
    monkeypatch.setenv("PIXFLEET_BROKER", valkey.url)
    monkeypatch.setenv("PIXFLEET_PRICES_BOOK", str(book))
    for table in ("requests.cloudwatch_request", "services.cloudwatch_metric_month"):
        book.write_text(text.replace(f"[{table}]", f"[{table}_not]"))
        with pytest.raises(SettingsError, match=re.escape(f"add a table [{table}]")):
            CloudWatchThread(Settings.load(), FleetMetrics())
