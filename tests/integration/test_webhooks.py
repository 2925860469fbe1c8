"""Webhooks from a job's end to its receiver: a real Valkey, a real HTTPS server."""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import json
import re
import time
from pathlib import Path

import pytest

from pixfleet.config import keys
from pixfleet.config.contract import ImageJob
from pixfleet.config.queues import ENCODE
from pixfleet.config.results import Failure, Manifest
from pixfleet.config.settings import Settings
from pixfleet.producer import Producer, verify_webhook
from pixfleet.producer.webhooks import call_again, waiting_webhooks
from pixfleet.workers.fleet.webhooks import Call, Outbox
from pixfleet.workers.notice import deliver, document, pause_s
from pixfleet.workers.runtime import build_runtime
from tests.web_server import make_certificates, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BAD = Failure(code="source_not_found", message="no", hint="look")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("ca"), "127.0.0.1")


@pytest.fixture
def receiver(certificates):
    with serving(certificates[1]) as server:
        server.routes["/hook"] = lambda handler: handler.answer(204)
        yield server


@pytest.fixture
def fleet(valkey, receiver, certificates, monkeypatch, tmp_path):
    """A worker's runtime that may call the receiver; ``configure(NAME=value)`` changes it."""
    environment = {
        "SSL_CERT_FILE": str(certificates[0]),
        "PIXFLEET_BROKER": valkey.url,
        "PIXFLEET_STATE": str(tmp_path),
        "PIXFLEET_WEBHOOK_SECRET": SECRET,
        "PIXFLEET_WEBHOOK_ALLOW_PRIVATE": "127.0.0.0/8",
        "PIXFLEET_WEBHOOK_PORTS": str(receiver.port),
    }

    def configure(**changes):
        for name, value in (environment | changes).items():
            monkeypatch.setenv(name, value)
        return build_runtime(Settings.load())

    return configure


def end_job(runtime, url: str | None, *failures: Failure, **job) -> str:
    """Submit a job, and end it as a worker does."""
    given = ImageJob(source="/a.jpg", output="/out", webhook=url, **job)
    job_id = Producer().submit(given).id
    finish(runtime, job_id, *failures)
    return job_id


def finish(runtime, job_id: str, *failures: Failure) -> None:
    claim = runtime.ledger.claim(job_id)
    assert claim.outcome == "run"
    manifest = Manifest(
        job_id=job_id,
        source="/a.jpg",
        output="/out",
        recipe="web",
        tenant="default",
        status="failed" if failures else "done",
        failures=failures,
        finished_at=dt.datetime.now(dt.UTC),
    )
    assert runtime.ledger.complete(manifest, claim.fence).accepted


def make_due(runtime) -> None:
    """As if the pause were over."""
    for job_id, _ in runtime.ledger.redis.zrange(keys.WEBHOOKS, 0, -1, withscores=True):
        runtime.ledger.redis.zadd(keys.WEBHOOKS, {job_id: 1})
        runtime.ledger.redis.hdel(keys.JOB + job_id.decode(), "webhook_called")


def call_due(runtime) -> int:
    """What the sweeper and a worker do: queue what is due, and run what is queued."""
    count = Outbox(runtime.ledger).send_due(100)
    for _ in range(count):
        message = json.loads(runtime.ledger.redis.rpop(ENCODE))
        assert message["headers"]["task"] == "pixfleet.v1.notify"
        deliver(runtime, message_argument(message)["job_id"])
    return count


def message_argument(message):
    return json.loads(base64.b64decode(message["body"]))[0][0]


def waiting(runtime, *, dead=False):
    return list(waiting_webhooks(runtime.ledger.redis, dead=dead))


def test_the_receiver_is_told_once_signed_and_with_the_manifest(fleet, receiver):
    runtime = fleet()
    job_id = end_job(runtime, receiver.url("/hook?token=hunter2"))
    assert [webhook.job_id for webhook in waiting(runtime)] == [job_id]
    assert "hunter2" not in waiting(runtime)[0].url

    assert call_due(runtime) == 1
    assert call_due(runtime) == 0

    ((path, headers, body),) = receiver.requests
    assert path == "/hook?token=hunter2"
    told = verify_webhook(headers, body, SECRET)
    assert told["type"] == "job.ended"
    assert told["data"]["job_id"] == job_id
    assert told["data"]["state"] == told["data"]["status"] == "done"
    assert Manifest.model_validate(told["data"]["manifest"]).job_id == job_id
    assert not waiting(runtime)
    record = runtime.ledger.redis.hgetall(keys.JOB + job_id)
    assert b"hunter2" not in b"".join(record.values())
    assert 0 < runtime.ledger.redis.ttl(keys.JOB + job_id) <= runtime.settings.result.ttl_s


def test_a_job_without_a_webhook_tells_nobody_and_expires_as_before(fleet, receiver):
    runtime = fleet()
    job_id = end_job(runtime, None)
    assert call_due(runtime) == 0
    assert not receiver.requests
    assert runtime.ledger.redis.ttl(keys.JOB + job_id) > 0


def test_a_job_is_kept_until_its_receiver_knows(fleet):
    runtime = fleet()
    job_id = end_job(runtime, "https://127.0.0.1/hook")
    assert runtime.ledger.redis.ttl(keys.JOB + job_id) == -1


def test_a_call_that_fails_is_made_again_later_and_later_and_then_given_up(fleet, receiver):
    runtime = fleet(PIXFLEET_WEBHOOK_TRIES="4")
    receiver.routes["/hook"] = lambda handler: handler.answer(500)
    job_id = end_job(runtime, receiver.url("/hook"), BAD)
    pauses = []
    for tries in range(1, 4):
        assert call_due(runtime) == 1
        (webhook,) = waiting(runtime)
        assert (webhook.tries, webhook.job_id) == (tries, job_id)
        assert "answered 500" in webhook.problem
        pauses.append(webhook.at - time.time())
        assert call_due(runtime) == 0
        make_due(runtime)
    assert pauses == sorted(pauses)
    assert pauses[0] < 8
    assert pauses[-1] > 1700

    assert call_due(runtime) == 1
    assert not waiting(runtime)
    (given_up,) = waiting(runtime, dead=True)
    assert (given_up.tries, given_up.job_id) == (4, job_id)
    assert runtime.ledger.redis.ttl(keys.JOB + job_id) > 0
    assert len({headers["webhook-id"] for _, headers, _ in receiver.requests}) == 1

    receiver.routes["/hook"] = lambda handler: handler.answer(200)
    assert call_again(runtime.ledger.redis, job_id)
    assert call_due(runtime) == 1
    assert not waiting(runtime)
    assert not waiting(runtime, dead=True)
    assert len(receiver.requests) == 5


@pytest.mark.parametrize(
    ("status", "tries"),
    [pytest.param(410, 0, id="gone"), pytest.param(302, 1, id="redirect")],
)
def test_a_receiver_that_is_gone_is_given_up_and_redirects_are_not_followed(
    fleet, receiver, status, tries
):
    runtime = fleet()
    receiver.routes["/hook"] = lambda handler: handler.answer(status, Location="/other")
    end_job(runtime, receiver.url("/hook"))
    call_due(runtime)
    assert len(waiting(runtime)) == tries
    assert len(waiting(runtime, dead=True)) == 1 - tries
    assert len(receiver.requests) == 1


def test_a_receiver_that_asks_for_time_gets_it(fleet, receiver):
    runtime = fleet()
    receiver.routes["/hook"] = lambda handler: handler.answer(503, Retry_After="900")
    end_job(runtime, receiver.url("/hook"))
    call_due(runtime)
    assert 890 < waiting(runtime)[0].at - time.time() < 901


@pytest.mark.parametrize(
    ("changes", "url", "said"),
    [
        ({"PIXFLEET_WEBHOOK_ALLOW_PRIVATE": ""}, "{url}", "PIXFLEET_WEBHOOK_ALLOW_PRIVATE"),
        ({}, "https://169.254.169.254:{port}/", "not public"),
        ({}, "http://127.0.0.1/", "PIXFLEET_WEBHOOK_ALLOW_HTTP"),
        ({"PIXFLEET_WEBHOOK_ALLOWED_HOSTS": "*.org"}, "{url}", "PIXFLEET_WEBHOOK_ALLOWED_HOSTS"),
        ({"PIXFLEET_WEBHOOK_SECRET": ""}, "{url}", "PIXFLEET_WEBHOOK_SECRET"),
    ],
)
def test_a_webhook_that_may_not_be_called_is_given_up_with_the_reason(
    fleet, receiver, changes, url, said
):
    runtime = fleet(**changes)
    end_job(runtime, url.format(url=receiver.url("/hook"), port=receiver.port))
    assert call_due(runtime) == 1
    (webhook,) = waiting(runtime, dead=True)
    assert said in webhook.problem
    assert not receiver.requests


def test_a_receiver_that_is_away_is_tried_again(fleet, receiver):
    runtime = fleet()
    receiver.routes["/hook"] = lambda handler: handler.wfile.write(b"SSH-2.0\r\n")
    end_job(runtime, receiver.url("/hook"))
    call_due(runtime)
    assert "not reachable" in waiting(runtime)[0].problem


def test_two_messages_for_one_webhook_make_one_call(fleet, receiver):
    """The queue may deliver twice, and the sweeper asks again when a message seems lost."""
    runtime = fleet()
    job_id = end_job(runtime, receiver.url("/hook"))
    receiver.routes["/hook"] = lambda handler: (
        deliver(runtime, job_id),  # another worker, while this one waits for the answer
        handler.answer(200),
    )
    deliver(runtime, job_id)
    deliver(runtime, job_id)
    assert len(receiver.requests) == 1


def test_a_call_whose_worker_died_is_made_again(fleet, receiver):
    runtime = fleet()
    job_id = end_job(runtime, receiver.url("/hook"))
    outbox = Outbox(runtime.ledger)
    assert outbox.send_due(100) == 1
    assert outbox.take(job_id, 15)  # and the worker dies
    assert outbox.send_due(100) == 0
    assert [webhook.job_id for webhook in waiting(runtime)] == [job_id]
    assert 290 < waiting(runtime)[0].at - time.time() < 301
    make_due(runtime)
    runtime.ledger.redis.delete(ENCODE)
    assert call_due(runtime) == 1
    assert len(receiver.requests) == 1


def test_a_job_that_is_retried_tells_of_its_second_end_under_another_id(fleet, receiver):
    runtime = fleet()
    job_id = end_job(runtime, receiver.url("/hook"), BAD)
    call_due(runtime)
    retry = runtime.ledger.scripts.load("pixfleet.producer", "retry")
    assert runtime.ledger.scripts.run(retry, job_id) == [1]
    runtime.ledger.redis.delete(ENCODE)
    finish(runtime, job_id)
    call_due(runtime)
    (_, first, told), (_, second, told_again) = receiver.requests
    assert first["webhook-id"] != second["webhook-id"]
    states = [json.loads(body)["data"]["state"] for body in (told, told_again)]
    assert states == ["failed", "done"]


def test_what_became_of_an_earlier_end_s_call_says_nothing_of_the_next_end(fleet, receiver):
    runtime = fleet()
    job_id = end_job(runtime, receiver.url("/hook"), BAD)
    outbox = Outbox(runtime.ledger)
    call = outbox.take(job_id, 15)
    assert call
    retry = runtime.ledger.scripts.load("pixfleet.producer", "retry")
    runtime.ledger.scripts.run(retry, job_id)
    finish(runtime, job_id)
    outbox.settle(call, "delivered")
    assert [webhook.job_id for webhook in waiting(runtime)] == [job_id]


def test_a_job_that_began_again_meanwhile_tells_nothing_until_it_ends(fleet, receiver):
    runtime = fleet()
    job_id = end_job(runtime, receiver.url("/hook"), BAD)
    retry = runtime.ledger.scripts.load("pixfleet.producer", "retry")
    runtime.ledger.scripts.run(retry, job_id)
    deliver(runtime, job_id)
    assert not receiver.requests


def test_a_manifest_that_is_too_large_is_left_out():
    notes = tuple("x" * 100 for _ in range(100))
    manifest = Manifest(
        job_id="1",
        source="/a.jpg",
        output="/out",
        recipe="web",
        tenant="default",
        status="done",
        notes=notes,
        finished_at=dt.datetime.now(dt.UTC),
    )
    call = Call("1", "https://x/", "1", 0, "done", "", 0.0)
    assert len(document(call, manifest, 1_000_000)) > 10_000
    small = document(call, manifest, 5_000)
    assert len(small) < 5_000
    assert json.loads(small)["data"]["manifest"] is None
    assert json.loads(small)["data"]["output"] == "/out"


def test_pauses_grow_evenly_from_seconds_to_an_hour(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    settings = Settings.load().webhook
    pauses = [round(pause_s(tries, settings)) for tries in range(settings.tries - 1)]
    assert (pauses[0], pauses[-1]) == (5, 3600)
    assert all(2.5 < later / earlier < 3.5 for earlier, later in itertools.pairwise(pauses))


def test_the_receiver_of_the_docs_takes_our_deliveries_and_no_others(fleet, certificates, capsys):
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code
    names: dict = {}
    exec(compile(code[1], "docs/security.md", "exec"), names)

    with serving(certificates[1]) as server:
        server.routes["/theirs"] = names["Receiver"].do_POST
        runtime = fleet(
            PIXFLEET_WEBHOOK_PORTS=str(server.port), PIXFLEET_WEBHOOK_SECRET=names["SECRET"]
        )
        job_id = end_job(runtime, server.url("/theirs"))
        call_due(runtime)
        assert not waiting(runtime)
        assert f"{job_id} done" in capsys.readouterr().out

        other = fleet(PIXFLEET_WEBHOOK_PORTS=str(server.port))
        end_job(other, server.url("/theirs"))
        call_due(other)
        assert "answered 400" in waiting(other)[0].problem
