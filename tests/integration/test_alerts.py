"""Events of budgets on their way to people: a real Valkey, real receivers, an AWS on loopback."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import threading
import time
import uuid

import boto3
import pytest
from typer.testing import CliRunner

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.config.settings import Settings, SettingsError
from pixfleet.producer import Producer, WebhookInvalidError, verify_webhook
from pixfleet.workers.cli_budget import budget_app
from pixfleet.workers.spend.alert_log import AlertLog
from pixfleet.workers.spend.alerts import AlertingThread, Teller
from pixfleet.workers.spend.aws_channels import alarm_name
from pixfleet.workers.spend.budgets import BudgetBook
from pixfleet.workers.spend.channels import channels_of
from pixfleet.workers.spend.event import BudgetEvent
from pixfleet.workers.spend.outlook import ForecastWatch
from tests.web_server import serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATH = "/services/T0/B0/hunter2"


@pytest.fixture
def receiver():
    with serving() as server:
        server.routes[PATH] = lambda handler: handler.answer(200, b"ok")
        yield server


@pytest.fixture
def fleet(valkey, receiver, monkeypatch):
    """The ledger, and the settings that ``configure(NAME=value)`` makes of the environment."""
    monkeypatch.setenv("PIXFLEET_BROKER", valkey.url)
    monkeypatch.setenv("PIXFLEET_WORKER_SWEEP_INTERVAL_S", "0.1")
    monkeypatch.setenv("PIXFLEET_ALERTS_TIMEOUT_S", "2")
    monkeypatch.setenv("PIXFLEET_ALERTS_WEBHOOK", receiver.url(PATH))
    return Fleet(monkeypatch)


class Fleet:
    def __init__(self, monkeypatch) -> None:
        self._monkeypatch = monkeypatch
        self.ledger = Producer().ledger
        self.redis = self.ledger.redis
        self.log = AlertLog(self.redis)

    def configure(self, **changes: str) -> Settings:
        for name, value in changes.items():
            self._monkeypatch.setenv(f"PIXFLEET_ALERTS_{name}", value)
        return Settings.load()

    def teller(self, **changes: str) -> Teller:
        channels = channels_of(self.configure(**changes).alerts)
        return Teller(self.redis, self.ledger, channels)

    def spend(self, nano: int, owner: str = "tenant:acme") -> None:
        """As a charge does; then whatever that means for budgets is put down."""
        at = dt.datetime.fromtimestamp(self.redis.time()[0], dt.UTC)
        for name in (f"day:{at:%Y-%m-%d}", f"hour:{at:%Y-%m-%dT%H}"):
            self.redis.hincrby(keys.OWNED + name, owner, nano)
        BudgetBook(self.ledger).standings()

    def outcomes(self, channel: str) -> list[str]:
        return [told.outcome for told in self.log.told() if told.channel == channel]

    def tries(self, channel: str) -> int:
        trouble = self.log.troubles().get(channel)
        return trouble.tries if trouble else 0

    def retry_now(self, channel: str) -> None:
        """As if the pause were over."""
        row = json.loads(self.redis.hget(keys.ALERTS_TROUBLE, channel))
        self.redis.hset(keys.ALERTS_TROUBLE, channel, json.dumps(row | {"again_at": 0}))


def event(**changes) -> dict:
    return {
        "id": f"tenant:acme|day|{uuid.uuid4()}",
        "at": time.time(),
        "owner": "tenant:acme",
        "period": "day",
        "kind": "rung",
        "from": "normal",
        "to": "closed",
        "share": 1.02,
        "spent_nano_usd": "5100000000",
        "limit_nano_usd": "5000000000",
        "ends_at": time.time() + 3600,
        **changes,
    }


def push(fleet: Fleet, *events: dict) -> None:
    fleet.redis.rpush(keys.ALERTS, *(json.dumps(one) for one in events))


def until(condition, within_s: float = 15):
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


def look_until(teller: Teller, condition, within_s: float = 15):
    def looked():
        teller.look()
        return condition()

    return until(looked, within_s)


def test_a_crossing_is_told_once_signed_and_as_slack_reads_it(fleet, receiver):
    BudgetBook(fleet.ledger).put([Budget(owner="tenant:acme", period="day", limit_usd="5.00")])
    teller = fleet.teller(WEBHOOK_SECRET=SECRET)
    fleet.spend(4_000_000_000)
    look_until(teller, lambda: fleet.outcomes("webhook"))
    fleet.spend(1_000)
    for _ in range(3):
        teller.look()
        time.sleep(0.05)

    ((path, headers, body),) = receiver.requests
    assert path == PATH
    document = verify_webhook(headers, body, SECRET)
    (told,) = document["data"]["events"]
    assert (told["owner"], told["from"], told["to"]) == ("tenant:acme", "normal", "thrifty")
    assert (told["spent_usd"], told["limit_usd"]) == ("4.000000000", "5.000000000")
    assert headers["webhook-id"] == told["id"]
    assert "tenant acme has spent 4.00 USD of 5.00 USD (80%) this day" in document["text"]
    assert fleet.outcomes("log") == fleet.outcomes("webhook") == ["delivered"]
    with pytest.raises(WebhookInvalidError):
        verify_webhook(headers, body.replace(b"thrifty", b"closed"), SECRET)


def test_each_rung_on_the_way_up_and_back_is_told_under_an_id_of_its_own(fleet, receiver):
    book = BudgetBook(fleet.ledger)
    book.put([Budget(owner="tenant:acme", period="day", limit_usd="5.00", alert_at=())])
    teller = fleet.teller()
    for nano in (4_000_000_000, 600_000_000, 400_000_000):
        fleet.spend(nano)
    book.put([Budget(owner="tenant:acme", period="day", limit_usd="50.00", alert_at=())])
    look_until(teller, lambda: len(fleet.outcomes("webhook")) == 4)
    events = [one for *_, body in receiver.requests for one in json.loads(body)["data"]["events"]]
    assert [one["to"] for one in events] == ["thrifty", "essential", "closed", "normal"]
    assert len({one["id"] for one in events}) == 4


def test_without_a_secret_nothing_claims_to_be_signed(fleet, receiver):
    push(fleet, event())
    look_until(fleet.teller(), lambda: fleet.outcomes("webhook"))
    ((_, headers, _),) = receiver.requests
    assert "webhook-signature" not in headers


def test_a_flood_of_events_is_few_messages_and_none_is_missing(fleet, receiver):
    events = [event(owner=f"tenant:t{number}") for number in range(50)]
    push(fleet, *events)
    look_until(fleet.teller(), lambda: len(fleet.outcomes("webhook")) == 50)
    assert len(receiver.requests) == 3
    told = [one for *_, body in receiver.requests for one in json.loads(body)["data"]["events"]]
    assert [one["id"] for one in told] == [one["id"] for one in events]


def test_a_receiver_that_fails_is_tried_later_and_later_and_then_told(fleet, receiver):
    receiver.routes[PATH] = lambda handler: handler.answer(500)
    teller = fleet.teller()
    push(fleet, event())
    pauses = []
    for tries in range(1, 5):
        look_until(teller, lambda tries=tries: len(receiver.requests) == tries)
        trouble = until(
            lambda tries=tries: (
                (t := fleet.log.troubles().get("webhook")) and t.tries == tries and t
            )
        )
        pauses.append(trouble.again_at - time.time())
        for _ in range(3):
            teller.look()
        assert len(receiver.requests) == tries
        fleet.retry_now("webhook")
    assert pauses[0] <= 2
    assert pauses[3] > 6
    assert "answered 500" in trouble.problem
    assert "hunter2" not in str(trouble)

    receiver.routes[PATH] = lambda handler: handler.answer(200)
    look_until(teller, lambda: fleet.outcomes("webhook"))
    assert fleet.outcomes("webhook") == ["delivered"]
    assert not fleet.log.troubles()
    assert len({headers["webhook-id"] for _, headers, _ in receiver.requests}) == 1


def test_what_was_tried_for_an_hour_is_given_up_and_what_is_newer_is_not(fleet, receiver, capfd):
    receiver.routes[PATH] = lambda handler: handler.answer(500)
    old, new = event(), event()
    waiting = keys.ALERTS_FOR + "webhook"
    for taken, one in ((time.time() - 3700, old), (time.time() - 60, new)):
        fleet.redis.rpush(waiting, f"{taken:.6f} {json.dumps(one)}")
    look_until(fleet.teller(), lambda: fleet.outcomes("webhook"))
    (told,) = fleet.log.told()
    assert (told.id, told.outcome) == (old["id"], "given_up")
    assert "answered 500" in told.problem
    (left,) = fleet.redis.lrange(waiting, 0, -1)
    assert new["id"] in left.decode()
    shown = CliRunner().invoke(budget_app, [])
    assert "alerts by webhook fail since" in shown.output
    assert "hunter2" not in shown.output + "".join(capfd.readouterr())


def test_a_channel_that_hangs_keeps_neither_the_others_nor_later_events_waiting(
    fleet, receiver, aws
):
    queue, topic = _topic()
    released = threading.Event()
    receiver.routes[PATH] = lambda _: released.wait(20)
    teller = fleet.teller(SNS_TOPIC=topic)
    first, second = event(), event()
    push(fleet, first)
    look_until(teller, lambda: receiver.requests and len(_received(queue)) == 1)
    push(fleet, second)
    look_until(teller, lambda: len(_received(queue)) == 2)
    assert not fleet.outcomes("webhook")
    trouble = until(lambda: fleet.log.troubles().get("webhook"))
    assert "longer" in trouble.problem or "go on" in trouble.problem
    receiver.routes[PATH] = lambda handler: handler.answer(200)
    released.set()
    fleet.retry_now("webhook")
    look_until(teller, lambda: len(fleet.outcomes("webhook")) == 2)
    assert aws


def _topic() -> tuple[str, str]:
    """A queue that is subscribed to a topic: its URL, and the topic's ARN."""
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    name = f"alerts-{uuid.uuid4().hex[:8]}"
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
    return queue, topic


def _received(queue: str) -> list[dict]:
    """Every message that is on the queue, which keeps them."""
    answer = boto3.client("sqs").receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


@pytest.mark.usefixtures("aws")
def test_a_subscriber_of_the_topic_gets_the_event_as_json_with_its_sentence(fleet):
    queue, topic = _topic()
    one = event()
    push(fleet, one)
    look_until(fleet.teller(SNS_TOPIC=topic), lambda: fleet.outcomes("sns"))
    (envelope,) = _received(queue)
    document = json.loads(envelope["Message"])
    assert document["events"][0]["id"] == one["id"]
    assert document["text"] == BudgetEvent.model_validate(one).text
    assert envelope["Subject"].startswith("pixfleet: tenant acme has spent 5.10 USD of 5.00 USD")


@pytest.mark.usefixtures("aws")
def test_a_topic_that_is_not_there_is_said_with_how_to_mend_it(fleet):
    topic = "arn:aws:sns:us-east-1:123456789012:nowhere"
    teller = fleet.teller(SNS_TOPIC=topic)
    push(fleet, event())
    look_until(teller, lambda: fleet.outcomes("webhook") and fleet.log.troubles())
    trouble = fleet.log.troubles()["sns"]
    assert "SNS refused Publish: NotFound" in trouble.problem
    assert topic in trouble.mend


@pytest.mark.usefixtures("aws")
def test_cloudwatch_gets_the_newest_share_and_an_alarm_that_people_may_change(fleet):
    cloudwatch = boto3.client("cloudwatch")
    owner = f"tenant:t{uuid.uuid4().hex[:8]}"
    first = event(owner=owner, share=0.8, to="thrifty", **{"from": "normal"})
    teller = fleet.teller(CLOUDWATCH="true")
    push(fleet, first, event(owner=owner, share=1.02))
    look_until(teller, lambda: len(fleet.outcomes("cloudwatch")) == 2)
    name = alarm_name(BudgetEvent.model_validate(first))
    assert name == f"pixfleet budget {owner} day"
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["MetricName"]) == (100, "BudgetUsed")
    now = dt.datetime.now(dt.UTC)
    (point,) = cloudwatch.get_metric_statistics(
        Namespace="pixfleet",
        MetricName="BudgetUsed",
        Dimensions=alarm["Dimensions"],
        StartTime=now - dt.timedelta(minutes=10),
        EndTime=now + dt.timedelta(minutes=10),
        Period=3600,
        Statistics=["Maximum", "SampleCount"],
    )["Datapoints"]
    assert (point["Maximum"], point["SampleCount"]) == (102, 1)

    kept = ("AlarmName", "Namespace", "MetricName", "Dimensions", "Statistic", "Period")
    kept += ("EvaluationPeriods", "ComparisonOperator")
    cloudwatch.put_metric_alarm(**{key: alarm[key] for key in kept}, Threshold=70)
    push(fleet, event(owner=owner))
    look_until(fleet.teller(), lambda: len(fleet.outcomes("cloudwatch")) == 3)
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert alarm["Threshold"] == 70


def test_what_is_no_event_keeps_no_event_waiting(fleet):
    fleet.redis.rpush(keys.ALERTS, "{", '{"id": "x"}')
    one = event()
    push(fleet, one)
    look_until(fleet.teller(), lambda: fleet.outcomes("webhook"))
    assert {told.id for told in fleet.log.told()} == {one["id"]}
    assert not fleet.redis.exists(keys.ALERTS_FOR + "webhook")


def test_only_the_process_that_sweeps_tells(fleet, receiver):
    settings = fleet.configure()
    threads = [AlertingThread(settings, name) for name in ("here", "there")]
    fleet.redis.set(keys.SWEEPER, "elsewhere")
    push(fleet, event())
    try:
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        assert not receiver.requests
        fleet.redis.set(keys.SWEEPER, "there")
        until(lambda: fleet.outcomes("webhook"))
        time.sleep(0.5)
    finally:
        for thread in threads:
            thread.stop()
            thread.join(10)
    assert len(receiver.requests) == 1


def test_what_a_killed_monitor_was_telling_the_next_one_tells(fleet, receiver):
    """And so a fleet without a single worker alerts."""
    released = threading.Event()
    receiver.routes[PATH] = lambda _: released.wait(20)
    one = event()
    push(fleet, one)
    with monitor():
        until(lambda: receiver.requests)
        until(lambda: fleet.outcomes("log"))
        assert fleet.redis.exists(keys.SWEEPER)  # it goes on sweeping meanwhile
    receiver.routes[PATH] = lambda handler: handler.answer(200)
    released.set()
    with monitor():
        until(lambda: fleet.outcomes("webhook"))
    assert fleet.outcomes("webhook") == fleet.outcomes("log") == ["delivered"]
    assert {headers["webhook-id"] for _, headers, _ in receiver.requests} == {one["id"]}


@contextlib.contextmanager
def monitor():
    """A monitor process, which is killed without a word."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pixfleet.producer.cli", "monitor"],
        env={**os.environ, "PIXFLEET_MONITOR_PORT": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


WEEK_USD = 168


def spend_evenly(fleet: Fleet, owner: str, days: int) -> None:
    """A dollar in each hour until now, as the ledger sums it up."""
    now = dt.datetime.fromtimestamp(fleet.redis.time()[0], dt.UTC)
    pipe = fleet.redis.pipeline()
    for back in range(days * 24):
        at = now - dt.timedelta(hours=back)
        nano = 1_000_000_000 if back else round((now.minute * 60 + now.second) / 3600 * 1e9)
        monday = at - dt.timedelta(days=at.weekday())
        pipe.hincrby(keys.OWNED + f"hour:{at:%Y-%m-%dT%H}", owner, nano)
        pipe.hincrby(keys.OWNED + f"week:{monday:%Y-%m-%d}", owner, nano)
    pipe.execute()


def test_a_limit_that_will_be_passed_is_foretold_once_for_each_limit(fleet):
    book, watch = BudgetBook(fleet.ledger), ForecastWatch(fleet.ledger)
    spend_evenly(fleet, "tenant:acme", 10)

    def set_limit(usd: float, **changes) -> float:
        limits = {"limit_usd": f"{usd:.6f}", "alert_at": (), **changes}
        limits |= dict.fromkeys(("thrifty_at", "essential_at", "closed_at"))
        book.put([Budget(owner="tenant:acme", period="week", **limits)])
        return float(book.standings()[0].spent_usd)

    spent = set_limit(1000)
    assert watch.look() == []
    set_limit(spent + (WEEK_USD - spent) / 2, forecast=False)
    assert watch.look() == []
    set_limit(spent + (WEEK_USD - spent) / 2)
    (event,) = watch.look()
    assert watch.look() == ForecastWatch(fleet.ledger).look() == []
    (row,) = fleet.redis.lrange(keys.ALERTS, 0, -1)
    assert BudgetEvent.model_validate_json(row) == event
    assert event.expected_nano_usd == pytest.approx(WEEK_USD * 1e9, rel=0.05)
    assert event.low_nano_usd <= event.expected_nano_usd <= event.high_nano_usd
    halfway = (event.at + event.ends_at) / 2
    assert event.reaches_at == pytest.approx(halfway, abs=0.1 * (event.ends_at - event.at) + 60)
    assert "tenant acme is expected to pass its limit of" in event.text
    set_limit(spent + (WEEK_USD - spent) * 0.6)
    (second,) = watch.look()
    assert second.id != event.id
    set_limit(spent * 0.9)
    assert watch.look() == []  # it is passed, which is told as such


@pytest.mark.parametrize(
    ("minutes", "told"), [pytest.param(20, 0, id="too-young"), pytest.param(45, 1, id="old-enough")]
)
def test_nothing_is_foretold_before_there_is_half_an_hour_of_data(fleet, minutes, told):
    BudgetBook(fleet.ledger).put([Budget(owner="tenant:acme", period="month", limit_usd="1.00")])
    now = dt.datetime.fromtimestamp(fleet.redis.time()[0], dt.UTC)
    for back in range(minutes + 1):
        at = now - dt.timedelta(minutes=back)
        for name in (f"minute:{at:%Y-%m-%dT%H:%M}", f"hour:{at:%Y-%m-%dT%H}"):
            fleet.redis.hincrby(keys.OWNED + name, "tenant:acme", 10_000_000)
    if _last_hours(now):
        pytest.skip("the month ends too soon to say anything of it")
    assert len(ForecastWatch(fleet.ledger).look()) == told


def _last_hours(now: dt.datetime) -> bool:
    return (now + dt.timedelta(hours=4)).month != now.month


def test_every_channel_can_be_tried_and_says_what_is_wrong(fleet, receiver, monkeypatch):
    fleet.configure(WEBHOOK_SECRET=SECRET)
    tried = CliRunner().invoke(budget_app, ["test-alert", "--json"])
    assert tried.exit_code == 0, tried.output
    assert [one["channel"] for one in json.loads(tried.stdout)] == ["log", "webhook"]
    ((_, headers, body),) = receiver.requests
    assert verify_webhook(headers, body, SECRET)["data"]["events"][0]["kind"] == "test"

    receiver.routes[PATH] = lambda handler: handler.answer(404)
    monkeypatch.setenv("PIXFLEET_ALERTS_SNS_TOPIC", "arn:aws:sns:us-east-1:123456789012:t")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    tried = CliRunner().invoke(budget_app, ["test-alert"])
    assert tried.exit_code == 1
    assert f"✗ webhook: {receiver.url('')} answered 404" in tried.output
    assert "✗ sns: SNS: no credentials" in tried.output
    assert "hunter2" not in tried.output
    chosen = CliRunner().invoke(budget_app, ["test-alert", "--channel", "log"])
    assert chosen.exit_code == 0
    assert CliRunner().invoke(budget_app, ["test-alert", "--channel", "fax"]).exit_code == 2


@pytest.mark.usefixtures("aws")
def test_a_test_leaves_no_alarm_behind(fleet):
    fleet.configure(CLOUDWATCH="true")
    tried = CliRunner().invoke(budget_app, ["test-alert", "--channel", "cloudwatch"])
    assert tried.exit_code == 0, tried.output
    alarms = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert not [alarm for alarm in alarms if "budget test" in alarm["AlarmName"]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("WEBHOOK", "hooks.example.org/hunter2", id="no-scheme"),
        pytest.param("WEBHOOK", "https://a:hunter2@example.org/", id="password"),
        pytest.param("WEBHOOK", "https://example.org:hunter2/", id="port"),
        pytest.param("WEBHOOK_SECRET", "hunter2", id="short-secret"),
        pytest.param("SNS_TOPIC", "budgets", id="no-arn"),
    ],
)
def test_a_wrong_setting_is_named_and_a_secret_one_not_repeated(fleet, name, value):
    with pytest.raises(SettingsError, match=f"PIXFLEET_ALERTS_{name}: ") as refused:
        fleet.configure(**{name: value})
    assert "hunter2" not in str(refused.value)


def test_the_secret_address_is_never_shown(fleet):
    assert "hunter2" not in repr(fleet.configure())


def test_the_metadata_service_is_no_receiver(fleet):
    teller = fleet.teller(WEBHOOK="http://169.254.169.254/latest/meta-data/hunter2")
    push(fleet, event())
    look_until(teller, fleet.log.troubles)
    trouble = fleet.log.troubles()["webhook"]
    assert "not public" in trouble.problem
    assert "hunter2" not in str(trouble)
