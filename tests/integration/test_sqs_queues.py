"""Queues on SQS: made, compared, listed, sent to; dead messages shown and revived."""

from __future__ import annotations

import json

import boto3
import pytest
from typer.testing import CliRunner

from pixfleet.config.contract import TASK_FINALIZE, TASK_PREPARE
from pixfleet.config.queues import QUEUES
from pixfleet.config.settings import Settings
from pixfleet.producer import (
    ImageJob,
    MessageTooLargeError,
    Producer,
    Recipe,
    SqsUnavailableError,
    VariantSpec,
)
from pixfleet.producer.cli import app
from pixfleet.producer.envelope import envelope
from pixfleet.producer.queues import SqsQueues
from pixfleet.producer.sqs import SqsSender
from pixfleet.workers.doctor import examine
from tests.sqs_gate import SqsGate


@pytest.fixture
def gate(aws, monkeypatch):
    with SqsGate(aws) as gate:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", gate.url)
        yield gate


@pytest.fixture
def pixfleet(sqs, valkey):  # noqa: ARG001 (the environment of its queues)
    """``pixfleet …`` on SQS: (exit code, stdout, stderr and what `main` would say)."""

    def run(*arguments, **environment):
        environment = {"PIXFLEET_LEDGER": valkey.redis_url, **environment}
        done = CliRunner().invoke(app, arguments, env=environment)
        wrong = "" if isinstance(done.exception, SystemExit | None) else str(done.exception)
        return done.exit_code, done.stdout, done.stderr + wrong

    return run


def attributes(name):
    client = boto3.client("sqs")
    url = client.get_queue_url(QueueName=name)["QueueUrl"]
    return client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def message(number=0, size=0):
    return envelope(TASK_PREPARE, f"job-{number}", {"source": "s" * size}, "bulk")


def test_create_makes_each_queue_with_its_dead_letter_queue_once(pixfleet, sqs):
    code, out, _ = pixfleet("queues", "create", "--json")
    made = json.loads(out)
    assert code == 0
    assert {change["queue"] for change in made} == {
        f"{sqs}{queue}{end}" for queue in QUEUES for end in ("", "-dead")
    }
    live, dead = attributes(f"{sqs}bulk"), attributes(f"{sqs}bulk-dead")
    assert live["VisibilityTimeout"] == "120"
    assert live["ReceiveMessageWaitTimeSeconds"] == "20"
    assert live["MessageRetentionPeriod"] == dead["MessageRetentionPeriod"] == "1209600"
    assert live["SqsManagedSseEnabled"] == dead["SqsManagedSseEnabled"] == "true"
    redrive = json.loads(live["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == dead["QueueArn"]
    assert int(redrive["maxReceiveCount"]) == 10
    code, out, _ = pixfleet("queues", "create", "--json")
    assert (code, json.loads(out)) == (0, [])


def test_check_names_each_difference_and_the_command_that_mends_it(pixfleet, sqs):
    code, _, said = pixfleet("queues", "check")
    assert code == 1
    assert f"{sqs}encode: does not exist; mend it: pixfleet queues create" in said
    pixfleet("queues", "create")
    code, _, said = pixfleet("queues", "check")
    assert code == 0, said

    client = boto3.client("sqs")
    url = client.get_queue_url(QueueName=f"{sqs}bulk")["QueueUrl"]
    client.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})
    code, _, said = pixfleet("queues", "check", PIXFLEET_VISIBILITY_TIMEOUT_S="60")
    assert code == 1
    mend = "should be 60; mend it: pixfleet queues create"
    for queue in QUEUES:
        assert f"{sqs}{queue}: VisibilityTimeout is 120, {mend}" in said
    assert f"{sqs}bulk: RedrivePolicy is (none), should be" in said
    pixfleet("queues", "create", PIXFLEET_VISIBILITY_TIMEOUT_S="60")
    code, _, said = pixfleet("queues", "check", PIXFLEET_VISIBILITY_TIMEOUT_S="60")
    assert code == 0, said


def test_doctor_looks_at_the_queues(sqs, valkey, monkeypatch):
    monkeypatch.setenv("PIXFLEET_LEDGER", valkey.redis_url)

    def found():
        return next(finding for finding in examine(None) if finding.part == "queues")

    assert found().level == "bad"
    assert f"{sqs}bulk-dead" in found().found
    assert "pixfleet queues create" in found().mend
    SqsQueues(Settings.load()).create()
    assert found().level == "ok"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert "may this machine reach it" in found().mend


def test_list_counts_what_waits_is_in_flight_and_is_dead(pixfleet, sqs):
    SqsQueues(Settings.load()).create()
    sender = SqsSender(Settings.load().sqs)
    sender.send("bulk", [message(i) for i in range(3)])
    sender.send("encode-dead", [message()])
    client = boto3.client("sqs")
    client.receive_message(QueueUrl=client.get_queue_url(QueueName=f"{sqs}bulk")["QueueUrl"])
    code, out, _ = pixfleet("queues", "list", "--json")
    rows = {row["queue"]: row for row in json.loads(out)}
    assert code == 0
    assert (rows["bulk"]["waiting"], rows["bulk"]["in_flight"]) == (2, 1)
    assert (rows["encode"]["waiting"], rows["encode"]["dead"]) == (0, 1)


def test_queues_in_redis_are_listed_and_need_not_be_made(pixfleet, valkey):
    Producer(valkey.url).submit(ImageJob(source="/a.jpg", output="/o"))
    on_redis = {"PIXFLEET_BROKER": valkey.url, "PIXFLEET_LEDGER": ""}
    code, out, _ = pixfleet("queues", "list", "--json", **on_redis)
    assert code == 0
    assert {row["queue"]: row["waiting"] for row in json.loads(out)}["bulk"] == 1
    for command in ("create", "check"):
        assert pixfleet("queues", command, **on_redis)[0] == 0
    code, _, said = pixfleet("queues", "dead", **on_redis)
    assert code == 2
    assert "ledger" in said


def test_dead_messages_are_shown_with_their_jobs_and_stay(pixfleet, valkey):
    queues = SqsQueues(Settings.load())
    queues.create()
    handle = Producer("sqs://", ledger=valkey.redis_url).submit(
        ImageJob(source="/a.jpg", output="/o")
    )
    sender = SqsSender(Settings.load().sqs)
    joined = envelope(TASK_FINALIZE, "t", {"draft": {"job_id": "of-a-chord"}}, "encode")
    sender.send("bulk-dead", [envelope(TASK_PREPARE, handle.id, {}, "bulk"), joined, b"[foreign]"])
    for _ in range(2):  # a look leaves them there, visible
        code, out, _ = pixfleet("queues", "dead", "bulk", "--json")
        rows = {row["job_id"]: row for row in json.loads(out)}
        assert code == 0
        assert set(rows) == {handle.id, "of-a-chord", ""}
    assert rows[handle.id]["job_state"] == handle.status().state
    assert rows[handle.id]["task"] == TASK_PREPARE
    assert rows["of-a-chord"]["job_state"] == "unknown"
    assert rows[""]["receives"] >= 2
    assert 0 <= rows[""]["age_s"] < 60


def test_a_message_received_too_often_dies_and_replay_brings_it_back(pixfleet, sqs, monkeypatch):
    monkeypatch.setenv("PIXFLEET_SQS_MAX_RECEIVES", "4")
    SqsQueues(Settings.load()).create()
    SqsSender(Settings.load().sqs).send("bulk", [message(i) for i in range(12)])
    client = boto3.client("sqs")
    url = client.get_queue_url(QueueName=f"{sqs}bulk")["QueueUrl"]
    for _ in range(5 * 2):
        client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, WaitTimeSeconds=0
        )
    count = attributes(f"{sqs}bulk-dead")["ApproximateNumberOfMessages"]
    assert int(count) > 0
    code, out, _ = pixfleet("queues", "replay", "bulk", "--limit", "1", "--json")
    assert (code, json.loads(out)) == (0, {"bulk": 1})
    code, out, _ = pixfleet("queues", "replay", "bulk", "--json")
    assert (code, json.loads(out)) == (0, {"bulk": int(count) - 1})
    assert attributes(f"{sqs}bulk-dead")["ApproximateNumberOfMessages"] == "0"
    assert attributes(f"{sqs}bulk")["ApproximateNumberOfMessages"] == "12"


def test_a_replay_that_ends_halfway_doubles_messages_and_loses_none(gate, sqs):
    queues = SqsQueues(Settings.load())
    queues.create()
    SqsSender(Settings.load().sqs).send("bulk-dead", [message(i) for i in range(5)])
    denied = {"__type": "com.amazonaws.sqs#AccessDeniedException", "message": "no"}
    gate.refusals["DeleteMessageBatch"] = [(403, denied)]
    with pytest.raises(SqsUnavailableError, match="sqs:DeleteMessage "):
        queues.replay("bulk", 100)
    assert attributes(f"{sqs}bulk")["ApproximateNumberOfMessages"] == "5"
    dead = attributes(f"{sqs}bulk-dead")
    hidden = dead["ApproximateNumberOfMessagesNotVisible"]
    assert int(dead["ApproximateNumberOfMessages"]) + int(hidden) == 5


@pytest.mark.parametrize(
    ("size", "count", "batches"),
    [
        pytest.param(10, 25, [10, 10, 5], id="ten a request"),
        pytest.param(36_000, 9, [5, 4], id="256 KiB a request"),
    ],
)
def test_messages_go_many_a_request(gate, sqs, size, count, batches):
    SqsQueues(Settings.load()).create()
    SqsSender(Settings.load().sqs).send("bulk", [message(i, size) for i in range(count)])
    assert gate.entries == batches
    assert attributes(f"{sqs}bulk")["ApproximateNumberOfMessages"] == str(count)


def test_messages_that_sqs_did_not_take_are_sent_again(gate, sqs):
    SqsQueues(Settings.load()).create()
    gate.not_taken = ["1", "7"]
    SqsSender(Settings.load().sqs).send("bulk", [message(i) for i in range(10)])
    assert gate.entries == [10, 2]
    assert attributes(f"{sqs}bulk")["ApproximateNumberOfMessages"] == "10"


def test_a_recipe_too_large_to_travel_is_refused_before_anything_is_queued(sqs, valkey):
    SqsQueues(Settings.load()).create()
    variants = tuple(
        VariantSpec(name=f"variant-{i}", width=i + 1, formats=("jpeg",)) for i in range(1500)
    )
    small = ImageJob(source="/a.jpg", output="/o")
    large = small.model_copy(update={"recipe": Recipe(name="r", variants=variants)})
    producer = Producer("sqs://", ledger=valkey.redis_url)
    with pytest.raises(MessageTooLargeError, match=r"65,536 on SQS.*PIXFLEET_RECIPES_FOLDER"):
        list(producer.submit_many([small, large]))
    assert attributes(f"{sqs}bulk")["ApproximateNumberOfMessages"] == "0"
    assert producer.ledger.redis.dbsize() == 0


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param(
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            "no credentials",
            id="no credentials",
        ),
        pytest.param({"AWS_DEFAULT_REGION": None}, "set AWS_DEFAULT_REGION", id="no region"),
        pytest.param(
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            "AWS_ENDPOINT_URL_SQS, and may this machine reach it",
            id="wrong endpoint",
        ),
        pytest.param(
            {"AWS_DEFAULT_REGION": "eu-west-3"}, "pixfleet queues create", id="other region"
        ),
        pytest.param({"PIXFLEET_BROKER": "sqs://k:s@h"}, "it is just sqs://", id="keys in the URL"),
    ],
)
def test_what_is_wrong_with_the_connection_is_said(pixfleet, environment, said):
    SqsQueues(Settings.load()).create()
    environment = {"AWS_EC2_METADATA_DISABLED": "true", **environment}
    code, _, error = pixfleet("queues", "list", **environment)
    assert code != 0
    assert said in error
    assert len(error.splitlines()) == 1
