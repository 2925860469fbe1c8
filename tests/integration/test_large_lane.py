from __future__ import annotations

import base64
import json
import time

import pytest
import redis

from pixfleet.config import keys
from pixfleet.workers.fleet.jobs import JobLedger
from pixfleet.workers.fleet.large import LargeLane, announce, withdraw

JOB = "job-1"
MESSAGE = {"source": "huge.png", "output": "out"}


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connected:
        yield connected


@pytest.fixture
def fence(client) -> int:
    """Of the job, claimed by this process."""
    return JobLedger(client, lease_s=60, max_attempts=3, ttl_s=60).claim(JOB).fence


def lane(client, *, wait_s: int = 60, queues_in_redis: bool = True) -> LargeLane:
    return LargeLane(client, wait_s=wait_s, queues_in_redis=queues_in_redis)


def field(client, name: str) -> str:
    return client.hget(keys.JOB + JOB, name).decode()


def argument(packed: bytes) -> dict:
    return json.loads(base64.b64decode(json.loads(packed)["body"]))[0][0]


def test_a_rerouted_job_waits_on_the_large_queue_and_its_attempt_does_not_count(client, fence):
    assert lane(client).reroute(JOB, fence, MESSAGE, "needs 3 GB") == "rerouted"

    assert (field(client, "state"), field(client, "queue")) == ("queued", "large")
    assert field(client, "attempts") == "0"
    assert client.zscore(keys.RUNNING, JOB) is None
    (packed,) = client.lrange("large", 0, -1)
    assert packed.decode() == field(client, "message")
    assert argument(packed) == MESSAGE
    assert json.loads(field(client, "history"))["why"] == "needs 3 GB"


def test_who_no_longer_holds_the_job_cannot_move_it(client, fence):
    assert lane(client).reroute(JOB, fence - 1, MESSAGE, "needs 3 GB") == "superseded"

    assert field(client, "state") == "running"
    assert not client.exists("large")


def test_a_job_that_waited_in_vain_goes_back_to_any_worker_and_is_then_refused(client, fence):
    waits = lane(client, wait_s=0)
    announce(client, "large@there", ["large"], time.time())
    assert waits.reroute(JOB, fence, MESSAGE, "needs 3 GB") == "rerouted"
    assert waits.give_up() == []
    assert client.llen("large") == 1, "somebody serves the queue, so its turn comes"

    withdraw(client, "large@there")
    client.zadd(keys.LARGE, {JOB: 0})
    waits.give_up()

    assert not client.exists("large", keys.LARGE)
    (packed,) = client.lrange("encode", 0, -1)
    assert argument(packed) == MESSAGE
    assert json.loads(packed)["properties"]["delivery_info"]["routing_key"] == "encode"
    again = JobLedger(client, lease_s=60, max_attempts=3, ttl_s=60).claim(JOB)
    assert waits.reroute(JOB, again.fence, MESSAGE, "needs 3 GB") == "unserved"
    assert field(client, "state") == "running", "so that its worker can end it"


def test_a_worker_without_a_sign_of_life_serves_nothing(client, fence):
    announce(client, "large@there", ["large"], time.time() - 60)

    assert lane(client, wait_s=0).reroute(JOB, fence, MESSAGE, "needs 3 GB") == "unserved"


def test_what_is_not_due_or_has_ended_is_left_alone(client, fence):
    patient = lane(client)
    patient.reroute(JOB, fence, MESSAGE, "needs 3 GB")
    patient.give_up()
    assert client.llen("large") == 1

    client.hset(keys.JOB + JOB, "state", "cancelled")
    client.zadd(keys.LARGE, {JOB: 0})
    patient.give_up()

    assert not client.exists(keys.LARGE, "encode")


def test_where_queues_are_elsewhere_the_caller_gets_what_it_has_to_send(client, fence):
    elsewhere = lane(client, queues_in_redis=False)
    elsewhere.reroute(JOB, fence, MESSAGE, "needs 3 GB")
    assert not client.exists("large")
    client.zadd(keys.LARGE, {JOB: 0})

    (packed,) = elsewhere.give_up()

    assert argument(packed) == MESSAGE
    assert not client.exists("encode")
