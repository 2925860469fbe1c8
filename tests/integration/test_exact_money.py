"""Every nano-dollar of a receipt that counted is in every sum, whatever dies meanwhile."""

from __future__ import annotations

import random

import pytest
import redis

from bench.exact import Ender, differences, run
from pixfleet.config import keys
from pixfleet.config.prices import load_prices
from pixfleet.config.queue_settings import QueueSettings
from pixfleet.producer import ImageJob, Producer
from pixfleet.producer.client import registration
from pixfleet.workers.fleet.jobs import JobLedger
from pixfleet.workers.spend.book import SpendBook
from pixfleet.workers.spend.machine import Machine


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connection:
        yield connection


def test_sums_hold_every_receipt_though_processes_and_the_broker_are_killed():
    found = run(receipts=400, processes=3, seed=random.randrange(1000), kill_every_s=1)

    assert found["differences"] == []
    assert (found["receipts"], found["broker restarts"]) == (400, 1)


@pytest.mark.parametrize("kind", ["line", "owner", "total"])
def test_a_nano_dollar_too_much_would_be_found(kind, valkey, client, tmp_path):
    client.rpush("bench:todo", *range(1, 30))
    Ender(valkey.redis_url, tmp_path, 1).run()
    assert differences(valkey.url) == []
    hour = client.zrange(keys.SPENT_LIST, 0, 0)[0].decode()
    key, field = {
        "line": (
            keys.SPENT + hour,
            next(f for f in client.hkeys(keys.SPENT + hour) if b"|#" not in f),
        ),
        "owner": (f"{keys.OWNED}hour:{hour}", "fleet"),
        "total": (keys.TOTALS, "cost_nano_usd"),
    }[kind]

    client.hincrby(key, field, 1)

    assert [line.split()[0] for line in differences(valkey.url)] == [kind]


@pytest.mark.parametrize("ms", [10**8, 2 * 10**8, 10**11])
def test_work_in_vain_of_a_round_number_of_milliseconds_is_charged(ms, valkey, client):
    """Redis 7.0 writes a script's number 1e8 as 1e+8, which it does not take for an integer."""
    machine = Machine(load_prices("aws-us-east-1").rates(), 1)
    options = {"lease_s": 30.0, "max_attempts": 3, "ttl_s": 600, "machine": machine}
    ledger = JobLedger(client, QueueSettings(), None, **options)
    job = registration(ImageJob(source="/a.jpg", output="/out", tenant="shop"))
    ledger.register([job])
    claim = ledger.claim(job.id)
    renew = ledger.scripts.load("pixfleet.workers.fleet", "renew")

    ledger.scripts.ask(renew, job.id, claim.fence, 30, "part", "over", ms)

    nano = ms * machine.core_nano // 1000
    lines = {entry.line: entry.amount for entry in SpendBook(Producer(valkey.url).ledger).entries()}
    assert lines["rework"] == nano == int(client.hget(keys.TOTALS, "rework_nano_usd"))
    assert lines["#rework_ms"] == ms
