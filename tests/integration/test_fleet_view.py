"""The fleet as people look at it, against the ledger on a real Valkey."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal

import pytest
import redis

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.workers.monitor.fleet_view import FleetWatch
from pixfleet.workers.monitor.history import History
from pixfleet.workers.spend.budgets import BudgetBook

from .spending import CENT, ledger_of, spend, submit
from .test_history import finish


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connection:
        yield connection


def test_a_fleet_of_which_nothing_is_known_is_shown_as_that(client):
    view = FleetWatch(ledger_of(client)).look()
    assert view.rates is None
    assert (view.latencies, view.failures, view.crew, view.failed, view.slowest) == ((),) * 5
    assert {queue.waiting for queue in view.queues} == {0, None}
    assert view.today_usd == 0
    assert view.worst_budget is None


def test_what_ended_before_the_first_look_counts_for_latencies_and_failures(client):
    ledger = ledger_of(client)
    for _ in range(3):
        finish(ledger, wall_s=0.1)
    finish(ledger, codes=["image_corrupt"])
    view = FleetWatch(ledger).look()
    found = {one.name: one for one in view.latencies}
    assert found["stage:decode"].count == 4
    assert 0.07 <= found["stage:decode"].p50_s <= 0.15
    assert view.failures == (("image_corrupt", 1),)
    assert view.latencies_over_s == 3600


def test_latencies_and_failures_of_long_ago_are_not_shown_as_new(client):
    ledger, history = ledger_of(client), History(client)
    finish(ledger, codes=["image_corrupt"])
    watch = FleetWatch(ledger)
    reading = watch.look().reading
    history.record(replace(reading, at_s=reading.at_s - 7200))
    finish(ledger, wall_s=2.0)
    view = FleetWatch(ledger).look()
    assert view.failures == ()
    assert {one.count for one in view.latencies} == {1}


def test_rates_are_those_of_the_last_seconds(client):
    ledger = ledger_of(client)
    watch = FleetWatch(ledger)
    watch.look()
    time.sleep(0.5)
    for _ in range(5):
        finish(ledger)
    spend(ledger, CENT)
    found = watch.look().rates
    assert found
    assert 0.5 <= found.over_s < 5
    assert found.images_per_s * found.over_s == pytest.approx(6)
    assert found.spent_usd == CENT


def test_failed_jobs_come_with_the_reason_and_how_to_mend_it_the_newest_first(client):
    ledger = ledger_of(client)
    first = finish(ledger, codes=["image_corrupt", "store_denied"], source="/first.jpg")
    second = finish(ledger, codes=["image_corrupt"], source="/second.jpg")
    finish(ledger)
    one, other = FleetWatch(ledger).look().failed
    assert (one.id, other.id) == (second, first)
    assert (other.source, other.code, other.reason, other.hint, other.more) == (
        *("/first.jpg", "image_corrupt", "m", "h"),
        1,
    )


def test_jobs_in_work_the_longest_and_the_slowest_of_the_day_are_named(client):
    ledger = ledger_of(client)
    (old,) = submit(ledger)
    ledger.claim(old)
    time.sleep(0.2)
    (young,) = submit(ledger)
    ledger.claim(young)
    done = finish(ledger)
    view = FleetWatch(ledger).look()
    assert [job.id for job in view.in_work] == [old, young]
    assert view.in_work[0].took_s >= 0.2
    assert [job.id for job in view.slowest] == [done]


def test_workers_that_need_attention_come_first_and_kinds_of_machines_are_summed(client):
    ledger, now_s = ledger_of(client), time.time()
    for name, state, silent_s in (
        ("a", "working", 0),
        ("b", "draining", 0),
        ("c", "at risk", 0),
        ("d", "working", 60),
    ):
        client.zadd(keys.WORKERS, {name: now_s - silent_s})
        said = {"state": state, "active": 1, "children": 2}
        said |= {"machine": "c7i.large spot", "hour_nano_usd": 35_000_000}
        client.hset(keys.WORKER + name, mapping=said)
    view = FleetWatch(ledger).look()
    assert [(one.name, one.state) for one in view.crew] == [
        *(("d", "gone"), ("b", "draining")),
        *(("c", "at risk"), ("a", "working")),
    ]
    (kind,) = view.machines
    assert (kind.name, kind.workers, kind.active, kind.children) == ("c7i.large spot", 3, 3, 6)
    assert kind.hour_usd == view.reading.hour_usd == Decimal("0.105")
    assert (view.reading.workers, view.reading.draining, view.reading.at_risk) == (3, 1, 1)


def test_the_tightest_budget_is_named(client):
    ledger = ledger_of(client)
    book = BudgetBook(ledger)
    book.put([Budget(owner="fleet", period="day", limit_usd=CENT * 100)])
    spend(ledger, CENT)
    assert FleetWatch(ledger).look().worst_budget is None
    book.put([Budget(owner="tenant:default", period="day", limit_usd=CENT)])
    worst = FleetWatch(ledger).look().worst_budget
    assert worst
    assert (worst.budget.owner, worst.rung) == ("tenant:default", "closed")


def test_a_look_at_a_thousand_workers_and_many_failures_takes_few_round_trips(client):
    ledger = ledger_of(client)
    for number in range(1000):
        client.zadd(keys.WORKERS, {f"w{number}": time.time()})
    for _ in range(30):
        finish(ledger, codes=["image_corrupt"])
    watch = FleetWatch(ledger)
    watch.look()
    before = client.info("stats")["total_commands_processed"]
    view = watch.look()
    assert client.info("stats")["total_commands_processed"] - before < 5_000
    assert (len(view.crew), view.crew_more, len(view.failed)) == (200, 800, 20)
