from __future__ import annotations

import base64
import json
import time

import pytest
import redis

from pixfleet.config import keys
from pixfleet.config.prices import load_prices
from pixfleet.config.queue_settings import QueueSettings
from pixfleet.config.queues import BULK, ENCODE, LARGE
from pixfleet.producer import ImageJob
from pixfleet.producer.client import registration
from pixfleet.producer.scripts import Scripts
from pixfleet.workers.fleet.jobs import JobLedger
from pixfleet.workers.fleet.large import LargeLane, announce, withdraw
from pixfleet.workers.spend.machine import Machine

QUEUES = QueueSettings()


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connected:
        yield connected


@pytest.fixture
def ledger(client):
    machine = Machine(load_prices("aws-us-east-1").rates(), 1)
    return JobLedger(client, QUEUES, None, lease_s=60, max_attempts=3, ttl_s=600, machine=machine)


@pytest.fixture
def job(ledger, client) -> str:
    """One that is on its queue, and nothing else is."""
    wanted = registration(ImageJob(source="huge.png", output="out"))
    ledger.register([wanted])
    client.delete(BULK)
    return wanted.id


def lane(client, *, wait_s: int = 60, post=None) -> LargeLane:
    return LargeLane(client, Scripts(client, QUEUES, post), wait_s=wait_s)


def field(client, job: str, name: str) -> str:
    return client.hget(keys.JOB + job, name).decode()


def source(packed: bytes) -> str:
    return json.loads(base64.b64decode(json.loads(packed)["body"]))[0][0]["source"]


def test_a_rerouted_job_waits_on_the_large_queue_and_its_attempt_does_not_count(
    client, ledger, job
):
    fence = ledger.claim(job).fence
    assert lane(client).reroute(job, fence, "needs 3 GB") == "rerouted"

    assert field(client, job, "state") == "queued"
    assert lane(client).has(job)
    assert client.zscore(keys.RUNNING, job) is None
    assert client.hget(keys.BACKLOG, BULK) == b"1"
    (packed,) = client.lrange(LARGE, 0, -1)
    assert source(packed) == "huge.png"
    (attempt,) = ledger.attempts(job)
    assert (attempt.how, attempt.why) == ("rerouted", "needs 3 GB")
    assert ledger.claim(job).attempts == 1


def test_who_no_longer_holds_the_job_cannot_move_it(client, ledger, job):
    fence = ledger.claim(job).fence
    assert lane(client).reroute(job, fence - 1, "needs 3 GB") == "superseded"

    assert field(client, job, "state") == "running"
    assert not client.exists(LARGE)


def test_a_job_that_waited_in_vain_goes_back_to_any_worker_and_is_then_refused(client, ledger, job):
    waits = lane(client, wait_s=0)
    announce(client, "large@there", [LARGE], time.time())
    assert waits.reroute(job, ledger.claim(job).fence, "needs 3 GB") == "rerouted"
    assert waits.give_up() == 0
    assert client.llen(LARGE) == 1, "somebody serves the queue, so its turn comes"

    withdraw(client, "large@there")
    client.zadd(keys.LARGE, {job: 0})
    assert waits.give_up() == 1

    assert not client.exists(LARGE, keys.LARGE, keys.QUEUED + LARGE)
    assert not waits.has(job)
    (packed,) = client.lrange(ENCODE, 0, -1)
    assert source(packed) == "huge.png"
    again = ledger.claim(job)
    assert waits.reroute(job, again.fence, "needs 3 GB") == "unserved"
    assert field(client, job, "state") == "running", "so that its worker can end it"


def test_a_worker_without_a_sign_of_life_serves_nothing(client, ledger, job):
    announce(client, "large@there", [LARGE], time.time() - 60)

    assert lane(client, wait_s=0).reroute(job, ledger.claim(job).fence, "3 GB") == "unserved"


def test_what_is_not_due_or_has_ended_is_left_alone(client, ledger, job):
    patient = lane(client)
    patient.reroute(job, ledger.claim(job).fence, "needs 3 GB")
    assert patient.give_up() == 0
    assert client.llen(LARGE) == 1

    client.hset(keys.JOB + job, "state", "cancelled")
    client.zadd(keys.LARGE, {job: 0})

    assert patient.give_up() == 0
    assert not client.exists(keys.LARGE, ENCODE)


def test_where_queues_are_elsewhere_its_messages_are_sent_there(client, ledger, job):
    sent: list[tuple[str, str]] = []

    def post(queue, envelopes):
        sent.extend((queue, source(packed)) for packed in envelopes)

    elsewhere = lane(client, post=post)
    elsewhere.reroute(job, ledger.claim(job).fence, "needs 3 GB")
    client.zadd(keys.LARGE, {job: 0})
    elsewhere.give_up()

    assert sent == [(LARGE, "huge.png"), (ENCODE, "huge.png")]
    assert not client.exists(LARGE, ENCODE)
