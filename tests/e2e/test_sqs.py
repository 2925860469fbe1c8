"""A fleet with its queues on SQS and a small Redis for ledger, results and events."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import boto3
import pytest
from celery import Celery
from structlog.testing import capture_logs

from pixfleet.config import keys
from pixfleet.config.contract import TASK_PREPARE
from pixfleet.config.prices import load_prices, to_nano
from pixfleet.config.queues import QUEUES
from pixfleet.config.settings import Settings
from pixfleet.producer import ImageJob, Producer, Recipe, SqsUnavailableError, VariantSpec
from pixfleet.producer.billed import sqs_requests
from pixfleet.producer.queues import SqsQueues
from pixfleet.producer.sqs import SqsSender
from pixfleet.workers.fleet.process import WorkerProcess
from pixfleet.workers.spend.book import SpendBook
from tests.brokers import free_port
from tests.dashboard import DashboardProcess
from tests.hostile import photo
from tests.sqs_gate import SqsGate

from .conftest import PIXFLEET

SMALL = Recipe(
    name="small", variants=(VariantSpec(name="v", width=90, formats=("jpeg",)),), features=()
)
SEVERAL = tuple(
    VariantSpec(name=f"w{width}", width=width, formats=("jpeg",)) for width in (1700, 1600, 90)
)
LONG = Recipe(
    name="long",
    variants=(VariantSpec(name="v", width=4000, enlarge=True, formats=("avif",)),),
    objective="smallest",
    features=(),
)


class SqsFleet:
    """A worker, a producer, and the gate through which both see SQS."""

    def __init__(self, gate, redis_url, state) -> None:
        self.gate = gate
        self.state = state
        self.out = state / "out"
        self.source = state / "picture.jpg"
        self.source.write_bytes(photo("JPEG", (1800, 1200)))
        self.producer = Producer("sqs://", ledger=redis_url)
        # The only messages are those of the jobs: no sweeper asks for leftovers to be removed.
        self.producer.ledger.redis.set(keys.TIDIED, "test")
        self.environment = {
            "PIXFLEET_LEDGER": redis_url,
            "PIXFLEET_STATE": str(state),
            "PIXFLEET_MEMO_ENABLED": "false",
        }

    def worker(self, children=2, **environment):
        return WorkerProcess(
            self.producer.ledger.redis,
            children=children,
            environment=self.environment | environment,
            log=self.state / "worker.log",
        )

    @property
    def log(self) -> str:
        return (self.state / "worker.log").read_text()

    def job(self, recipe=SMALL, queue="bulk"):
        return ImageJob(
            source=str(self.source), output=str(self.out), recipe=recipe, queue=queue, tenant="t"
        )

    def submit(self, *arguments, **options):
        return self.producer.submit(self.job(*arguments, **options))


@pytest.fixture
def fleet(aws, sqs, valkey, state, monkeypatch):  # noqa: ARG001 (its environment is what counts)
    with SqsGate(aws) as gate:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", gate.url)
        yield SqsFleet(gate, valkey.redis_url, state)


def eventually(question, timeout_s=30):
    """The first true answer."""
    deadline = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
    return answer


def test_jobs_end_fused_and_fanned_out_at_once_and_for_few_requests_that_are_all_charged(fleet):
    sqs_requests.begin()  # of this process, which is the producer
    SqsQueues(Settings.load()).create()
    recipes = [Recipe(name="r", variants=SEVERAL, quality=quality) for quality in (40, 45)]
    queues = ("bulk", "interactive")
    with fleet.worker() as worker:
        worker.wait_ready()
        handles = [
            fleet.submit(recipe, queue=queue) for recipe, queue in zip(recipes, queues, strict=True)
        ]
        manifests = [handle.result(120) for handle in handles]
        assert [manifest.status for manifest in manifests] == ["done", "done"], manifests
        assert [manifest.plan.execution for manifest in manifests] == ["fused", "fanout"]
        assert all((fleet.out / variant.path).is_file() for variant in manifests[0].variants)

        time.sleep(1)  # the poll of every queue is open, for 20 s, and has found nothing
        for queue in queues:
            began_s = time.monotonic()
            fleet.submit(queue=queue).result(60)
            assert time.monotonic() - began_s < 5

        seen = fleet.gate.requests.total()
        fleet.gate.requests.clear()
        for handle in list(fleet.producer.submit_many(fleet.job() for _ in range(40))):
            assert handle.result(60).status == "done"
        eventually(lambda: fleet.gate.requests["DeleteMessage"] >= 40)
        assert fleet.gate.requests["SendMessageBatch"] == 4
        # One delivery and one acknowledgement each, and a few polls that found nothing.
        assert sum(fleet.gate.requests.values()) <= 40 * 2 + 4 + 8, fleet.gate.requests

        os.kill(worker.pid, signal.SIGTERM)
        eventually(lambda: worker.exit_code is not None)
    seen += fleet.gate.requests.total()
    entries = SpendBook(fleet.producer.ledger).entries()
    charged = {(e.tenant, e.recipe): e.amount for e in entries if e.line == "sqs_request"}
    usd = load_prices("aws-us-east-1").request_usd("sqs_request")
    assert charged.keys() == {("", "")}
    # What a worker asks after its last word, if anything, is not seen.
    assert to_nano(usd * (seen - 3)) <= charged["", ""] <= to_nano(usd * seen)


def test_interactive_jobs_pass_a_backlog_of_bulk(fleet):
    SqsQueues(Settings.load()).create()
    bulk = list(fleet.producer.submit_many(fleet.job() for _ in range(120)))
    interactive = list(
        fleet.producer.submit_many(fleet.job(queue="interactive") for _ in range(30))
    )
    with fleet.worker() as worker:
        worker.wait_ready()
        for handle in interactive:
            assert handle.result(60).status == "done"
        ended = sum(handle.status().state == "done" for handle in bulk)
        # Taking turns, as kombu's own transport does, it would be thirty at least.
        assert ended < 25


def test_a_worker_waits_for_queues_that_are_not_made_and_says_how_to_make_them(fleet):
    with fleet.worker() as worker:
        eventually(lambda: "make it: pixfleet queues create" in fleet.log)
        SqsQueues(Settings.load()).create()
        worker.wait_ready()
        assert fleet.submit().result(60).status == "done"


def test_a_worker_survives_polls_that_sqs_refuses(fleet):
    SqsQueues(Settings.load()).create()
    fleet.gate.refusals["ReceiveMessage"] = [
        (503, {}),
        (400, {"__type": "com.amazonaws.sqs#RequestThrottled"}),
        (403, {"__type": "com.amazonaws.sqs#AccessDenied"}),
    ] * 2
    with fleet.worker() as worker:
        worker.wait_ready()
        assert fleet.submit().result(60).status == "done"
        assert worker.exit_code is None
        assert fleet.log.count("sqs.poll_failed") == 6


def test_a_long_job_is_delivered_once_and_again_soon_after_its_worker_was_killed(
    fleet, monkeypatch
):
    monkeypatch.setenv("PIXFLEET_VISIBILITY_TIMEOUT_S", "4")
    SqsQueues(Settings.load()).create()
    with fleet.worker(children=1) as one, fleet.worker(children=1) as other:
        one.wait_ready()
        other.wait_ready()
        handle = fleet.submit(LONG)
        eventually(lambda: handle.status().state == "running")
        time.sleep(7)  # nothing but its renewal hides it from the idle worker
        assert handle.status().state == "running", "too short a job to prove anything"
        assert list(fleet.gate.delivered.values()) == [1]
        child = int(handle.status().worker.rpartition(":")[2])
        os.killpg(os.getpgid(child), signal.SIGKILL)
        killed_s = time.monotonic()
        eventually(lambda: next(iter(fleet.gate.delivered.values())) == 2)
        assert time.monotonic() - killed_s < 4 + 8
        for worker in (one, other):
            worker.stop(at_once=True)


def test_what_a_stopping_worker_gives_back_is_there_for_others_at_once(fleet):
    SqsQueues(Settings.load()).create()
    # With a free child its own poll is open too, and must not get what it gives back.
    with fleet.worker(children=2, PIXFLEET_WORKER_SOFT_SHUTDOWN_S="0.2") as worker:
        worker.wait_ready()
        handle = fleet.submit(LONG)
        eventually(lambda: handle.status().state == "running")
    depths = SqsQueues(Settings.load()).depths()
    assert sum(depth.waiting for depth in depths) == 1
    assert sum(depth.in_flight for depth in depths) == 0


def test_flower_shows_the_tasks_and_the_worker_of_a_fleet_on_sqs(fleet):
    SqsQueues(Settings.load()).create()
    port = free_port()
    environment = {
        **os.environ,
        **fleet.environment,
        "PIXFLEET_MONITOR_FLOWER_PORT": str(port),
        "FLOWER_BASIC_AUTH": "operator:secret",
    }
    flower = subprocess.Popen([PIXFLEET, "flower"], env=environment, start_new_session=True)
    try:
        eventually(lambda: flower_answers(port, "/api/tasks")[0] == 200)
        assert flower_answers(port, "/api/tasks", password="wrong")[0] == 401
        with fleet.worker() as worker:
            worker.wait_ready()
            handle = fleet.submit()
            assert handle.result(60).status == "done"

            def shown():
                tasks = json.loads(flower_answers(port, "/api/tasks")[1])
                return tasks.get(handle.id, {}).get("state") == "SUCCESS" and tasks[handle.id]

            task = eventually(shown)
            assert task["name"] == TASK_PREPARE
            assert task["worker"] == worker.name
            workers = json.loads(flower_answers(port, "/workers?json=1")[1])["data"]
            assert [(w["hostname"], w["status"]) for w in workers] == [(worker.name, True)]
            fleet_page = json.loads(flower_answers(port, "/fleet/data")[1])["data"]
            assert [w["name"] for w in fleet_page["workers"]] == [worker.name]
    finally:
        os.killpg(flower.pid, signal.SIGTERM)
        flower.wait(20)


def test_a_job_is_retried_from_the_page_of_a_fleet_on_sqs(fleet):
    SqsQueues(Settings.load()).create()
    fleet.source.write_bytes(b"no picture")
    with DashboardProcess("sqs://", **fleet.environment) as dashboard, fleet.worker() as worker:
        worker.wait_ready()
        handle = fleet.submit()
        assert handle.result(60).status == "failed"
        fleet.source.write_bytes(photo("JPEG", (180, 120)))
        assert dashboard.order("/fleet/retry", {"job": handle.id}).status == 200
        eventually(lambda: fleet.producer.ledger.status(handle.id).state == "done")


def test_the_rights_in_the_docs_are_enough_for_each_who_needs_them(
    aws,  # noqa: ARG001 (its environment is what counts)
    sqs,  # noqa: ARG001 (ditto)
    valkey,
    state,
    monkeypatch,
):
    text = (Path(__file__).parents[2] / "docs" / "sqs.md").read_text()
    policies = [json.loads(part.split("```")[0]) for part in text.split("```json")[1:]]
    keys = {policy["Statement"][0]["Sid"]: user_with(policy) for policy in policies}
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)

    def become(sid):
        for name, value in keys[sid].items():
            monkeypatch.setenv(name, value)

    become("PixfleetProducer")
    with pytest.raises(SqsUnavailableError, match=r"access denied to sqs:CreateQueue.*docs/sqs.md"):
        SqsQueues(Settings.load()).create()
    become("PixfleetOperator")
    operator = SqsQueues(Settings.load())
    assert len(operator.create()) == 2 * len(QUEUES)
    assert operator.differences() == []
    become("PixfleetProducer")
    fleet = SqsFleet(None, valkey.redis_url, state)
    fanned_out = fleet.submit(
        Recipe(name="r", variants=SEVERAL[:2], quality=40), queue="interactive"
    )
    SqsSender(Settings.load().sqs).send("bulk-dead", [b"{}"])
    worker_may = fleet.worker(**keys["PixfleetWorker"], PIXFLEET_VISIBILITY_TIMEOUT_S="2")
    with worker_may as worker:
        worker.wait_ready()
        assert fanned_out.result(60).plan.execution == "fanout"
        handle = fleet.submit(LONG)
        eventually(lambda: handle.status().state == "running")
        time.sleep(1)  # a renewal
        worker.stop(at_once=True)
    assert "AccessDenied" not in fleet.log
    assert "access denied" not in fleet.log
    become("PixfleetOperator")
    depths = {depth.queue: depth for depth in operator.depths()}
    assert depths["bulk"].dead == 1
    assert len(operator.dead("bulk", 10)) == operator.replay("bulk", 10) == 1


def user_with(policy):
    """The keys of a new user who has the policy's rights."""
    (statement,) = policy["Statement"]
    # moto knows batches by their own names, and no resources.
    batches = {f"{action}Batch" for action in statement["Action"]}
    document = {
        **policy,
        "Statement": [{**statement, "Action": [*statement["Action"], *batches], "Resource": "*"}],
    }
    iam = boto3.client("iam")
    name = f"user-{time.time_ns():x}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def flower_answers(port, path, password="secret"):
    """Status and body; status 0 while nobody listens."""
    token = base64.b64encode(f"operator:{password}".encode()).decode()
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Basic {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def test_events_that_redis_does_not_take_hold_up_nothing():
    app = Celery(events="pixfleet.workers.fleet.telemetry:FleetEvents")
    app.conf.result_backend = "redis://127.0.0.1:1/0"
    with capture_logs() as log:
        dispatcher = app.events.Dispatcher(hostname="w")
        sender = next(thread for thread in threading.enumerate() if thread.name == "events")
        began_s = time.monotonic()
        for _ in range(5_000):
            dispatcher.send("worker-heartbeat")
        assert time.monotonic() - began_s < 3
        dispatcher.close()
        sender.join(30)  # it gives up on Redis only now; a later test must not hear of it
    assert not sender.is_alive()
    assert {entry["event"] for entry in log} == {"events.dropped"}
    assert sum(1 + entry["more"] for entry in log) == 5_000
