"""What the fleet remembers of itself: latencies, failures, rows of history, on a real Valkey."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from decimal import Decimal

import pytest
import redis

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.config.queues import BULK, INTERACTIVE
from pixfleet.config.results import Manifest
from pixfleet.workers.monitor.collect import FleetReader
from pixfleet.workers.monitor.histogram import Histogram, bound_s
from pixfleet.workers.monitor.history import RINGS, History
from pixfleet.workers.monitor.rates import rates
from pixfleet.workers.spend.budgets import BudgetBook

from .spending import CENT, end, finish, ledger_of, spend, submit, sweeper_of


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connection:
        yield connection


def test_a_stages_time_is_counted_in_the_bucket_that_holds_it(client):
    ledger = ledger_of(client)
    times_s = [0.0005, 0.001, 0.002, 0.0029, 0.1, 1.024, 30.0, 1e6]
    for wall_s in times_s:
        finish(ledger, wall_s=wall_s)
    decode = FleetReader(client).read().took["stage:decode"]
    found = sorted(bucket for bucket, count in decode.counts.items() for _ in range(count))
    for wall_s, bucket in zip(times_s[:-1], found[:-1], strict=True):
        assert wall_s <= bound_s(bucket) * 1.000001
        assert bucket == 0 or wall_s > bound_s(bucket - 1)
    assert found[-1] == 42
    assert decode.sum_us == pytest.approx(sum(times_s) * 1e6, abs=10)


def test_percentiles_lie_within_a_bucket_of_the_truth(client):
    ledger = ledger_of(client)
    times_s = [0.01 * (n + 1) for n in range(60)]
    for wall_s in times_s:
        finish(ledger, wall_s=wall_s)
    decode = FleetReader(client).read().took["stage:decode"]
    for share in (0.5, 0.95, 0.99):
        true_s = times_s[round(share * 60) - 1]
        assert true_s / 1.42 <= (decode.quantile_s(share) or 0) <= true_s * 1.42


def test_how_long_jobs_waited_worked_and_took_is_told_apart(client):
    ledger = ledger_of(client)
    (job_id,) = submit(ledger)
    time.sleep(0.3)
    end(ledger, job_id)
    took = FleetReader(client).read().took
    assert took["job:wait"].sum_us >= 300_000
    assert took["job:work"].sum_us < 300_000
    assert took["job:total"].sum_us >= took["job:wait"].sum_us


def test_failures_are_counted_by_code_once_a_job(client):
    ledger = ledger_of(client)
    finish(ledger, codes=["image_corrupt", "image_corrupt", "store_denied"])
    finish(ledger, codes=["image_corrupt"])
    assert FleetReader(client).read().failures == {"image_corrupt": 2, "store_denied": 1}


def test_the_slowest_jobs_of_the_day_are_known(client):
    ledger = ledger_of(client)
    (slow,) = submit(ledger)
    claim = ledger.claim(slow)
    quick = finish(ledger)
    time.sleep(0.2)
    manifest = Manifest(
        job_id=slow,
        source="/a.jpg",
        output="/out",
        recipe="web",
        tenant="default",
        status="done",
        finished_at=dt.datetime.now(dt.UTC),
    )
    ledger.complete(manifest, claim.fence)
    (name,) = client.keys(keys.SLOWEST + "*")
    (first, first_s), (second, _) = client.zrevrange(name, 0, -1, withscores=True)
    assert (first.decode(), second.decode()) == (slow, quick)
    assert 0.2 <= first_s < 30


def test_a_rate_is_what_came_about_between_two_readings(client):
    ledger, fleet = ledger_of(client), FleetReader(client)
    finish(ledger)
    before = fleet.read()
    finish(ledger, wall_s=0.5)
    finish(ledger, codes=["image_corrupt"])
    spend(ledger, CENT)
    after = replace(fleet.read(), at_s=before.at_s + 10)
    found = rates(before, after)
    assert found
    assert (found.images_per_s, found.failed_per_s) == (0.3, 0.1)
    assert found.pixels_per_s == 400_000
    assert found.spent_usd == CENT
    assert found.usd_per_hour == CENT * 360
    assert found.failures == {"image_corrupt": 1}
    assert found.took["stage:decode"].count == 2
    assert rates(after, before) is None


def test_a_ledger_that_lost_its_memory_counts_from_nothing(client):
    ledger, fleet = ledger_of(client), FleetReader(client)
    for _ in range(3):
        finish(ledger, codes=["image_corrupt"])
    before = fleet.read()
    client.flushall()
    finish(ledger, codes=["image_corrupt"])
    after = replace(fleet.read(), at_s=before.at_s + 1)
    found = rates(before, after)
    assert found
    assert found.images_per_s == 1
    assert found.failures == {"image_corrupt": 1}
    assert found.took["stage:decode"].count == 1


def test_the_oldest_job_that_could_begin_is_known_by_queue(client):
    ledger, fleet = ledger_of(client, depth=20), FleetReader(client)
    submit(ledger, count=30, queue="interactive")
    time.sleep(0.2)
    submit(ledger, count=1)
    ages = fleet.read().oldest_s
    assert ages[INTERACTIVE] >= 0.2 > ages[BULK]
    BudgetBook(ledger).put([Budget(owner="fleet", period="day", limit_usd=CENT)])
    spend(ledger, CENT * 2, queue="interactive")
    assert set(fleet.read().oldest_s.values()) == {0.0}


def rows(client, start_s, count, every_s):
    """So many readings of a fleet that ends one job in each of them."""
    reading = FleetReader(client).read()
    return [
        replace(
            reading,
            at_s=start_s + number * every_s,
            totals={"images": number, "fleet_nano_usd": number * 1000},
            queued={BULK: number % 7, INTERACTIVE: 0},
            took={"stage:decode": Histogram({20: number}, number * 1_000_000)},
        )
        for number in range(count)
    ]


def test_history_is_exact_over_any_stretch_and_keeps_the_peaks(client):
    history = History(client)
    start_s = 1_800_000_000.0
    for reading in rows(client, start_s, 241, 5):
        history.record(reading)
    end_s = start_s + 1200
    fine, coarse = history.points(end_s, 1200, 5), history.points(end_s, 1200, 60)
    assert len(fine) == 240
    assert {point.rates.images_per_s for point in fine if point.rates} == {0.2}
    assert 19 <= len(coarse) <= 21
    assert {point.rates.images_per_s for point in coarse if point.rates} == {0.2}
    assert max(point.reading.queued[BULK] for point in coarse) == 6
    for found in (point.rates for point in coarse if point.rates):
        assert found.took["stage:decode"].count == round(found.over_s / 5)
    assert sum((point.rates.spent_usd for point in fine if point.rates), Decimal(0)) == Decimal(
        "0.00024"
    )


def test_history_survives_who_wrote_it_and_two_may_write_it(client):
    start_s = 1_800_000_000.0
    for number, reading in enumerate(rows(client, start_s, 61, 5)):
        History(client).record(reading)
        if number % 2:
            History(client).record(replace(reading, at_s=reading.at_s + 0.5, queued={BULK: 0}))
    points = History(client).points(start_s + 301, 300, 60)
    assert sum(
        point.rates.images_per_s * point.rates.over_s for point in points if point.rates
    ) == (pytest.approx(60, abs=12))
    assert max(point.reading.queued[BULK] for point in points) == 6


def test_a_time_that_nobody_saw_is_a_gap_and_what_came_of_it_is_not_lost(client):
    history = History(client)
    first, *_, last = rows(client, 1_800_000_000.0, 100, 5)
    history.record(first)
    history.record(last)
    (point,) = history.points(last.at_s, 600, 5)
    assert point.rates is None
    assert point.reading.totals["images"] == 99


def test_a_month_of_history_is_small_and_expires(client):
    history = History(client)
    for reading in rows(client, 1_800_000_000.0, 720, 3600):
        history.record(reading)
    (month,) = [ring for ring in RINGS if ring.step_s == 3600]
    names = client.keys(keys.HISTORY + "3600:*")
    assert len(names) in (2, 3)
    assert all(0 < client.ttl(name) <= month.kept_s + 360 * 3600 for name in names)
    assert len(history.points(1_800_000_000.0 + 719 * 3600, 30 * 86400, 3600)) == 719
    assert sum(client.memory_usage(name, samples=0) for name in names) < 1_000_000


def test_rows_of_another_version_are_as_if_nobody_had_looked(client):
    history, all_rows = History(client), rows(client, 1_800_000_000.0, 61, 5)
    for reading in all_rows:
        history.record(reading)
    for name in client.keys(keys.HISTORY + "*"):
        for number, slot in enumerate(client.hkeys(name)):
            if number % 2:
                client.hset(name, slot, (b"junk", b"x\x9c\xab\x56\x00")[number % 4 == 1])
    assert 25 <= len(history.points(1_800_000_300.0, 300, 5)) <= 31
    assert History(client).newest_until(1_800_000_299.0)
    History(client).record(all_rows[-1])


def test_who_sweeps_remembers(client, valkey):
    sweeper = sweeper_of(valkey.url)
    finish(ledger_of(client))
    assert sweeper.sweep() is not None
    names = {name.decode().split(":")[2] for name in client.keys(keys.HISTORY + "*")}
    assert names == {"5", "60", "3600"}


@pytest.mark.parametrize("key", [keys.SEEN, keys.TOTALS], ids=["no-hash", "no-number"])
def test_a_fleet_that_cannot_be_read_is_swept_all_the_same(client, valkey, monkeypatch, key):
    monkeypatch.setenv("PIXFLEET_WORKER_LEASE_S", "0.1")  # the broker is young, too
    ledger = ledger_of(client)
    (job_id,) = submit(ledger)
    ledger.claim(job_id)
    client.zadd(keys.RUNNING, {job_id: 1})
    client.hset(keys.JOB + job_id, "lease_until", "1")
    if key == keys.SEEN:
        client.delete(key)
        client.set(key, "no hash")
    else:
        client.hset(key, "images", "no number")
    assert sweeper_of(valkey.url).sweep()["leases"] == 1
    assert ledger.status(job_id).state == "queued"


def test_events_of_budgets_stay_when_everybody_was_told(client):
    ledger = ledger_of(client)
    BudgetBook(ledger).put([Budget(owner="fleet", period="day", limit_usd=CENT)])
    spend(ledger, CENT * 2)
    assert client.lrange(keys.BUDGET_LOG, 0, -1) == client.lrange(keys.ALERTS, 0, -1)[::-1]
    assert client.llen(keys.BUDGET_LOG) >= 1
