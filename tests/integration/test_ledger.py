"""The ledger's moves against a real Valkey: claims, fences, turns, sweeps."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter

import pytest
import redis

from pixfleet.config import keys
from pixfleet.config.prices import load_prices
from pixfleet.config.queue_settings import QueueSettings
from pixfleet.config.queues import BULK, ENCODE
from pixfleet.config.results import Manifest
from pixfleet.config.settings import Settings
from pixfleet.producer import BacklogFullError, ImageJob, Producer
from pixfleet.producer.client import registration
from pixfleet.producer.desk import JobDesk
from pixfleet.workers.failures import CANCELLED_EARLY, worker_lost
from pixfleet.workers.fleet.jobs import Abandonment, JobLedger
from pixfleet.workers.fleet.sweeper import Sweeper
from pixfleet.workers.spend.machine import Machine

MACHINE = Machine(load_prices("aws-us-east-1").rates(), 1)


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connection:
        yield connection


@pytest.fixture
def ledger(client):
    return make(client)


def make(client, *, lease_s=30.0, max_attempts=3, **queues):
    settings = QueueSettings(**queues)
    options = {"lease_s": lease_s, "max_attempts": max_attempts, "ttl_s": 600}
    return JobLedger(client, settings, None, **options, machine=MACHINE)


@pytest.fixture
def sweeper(valkey, monkeypatch):
    monkeypatch.delenv("PIXFLEET_LEDGER", raising=False)
    monkeypatch.setenv("PIXFLEET_WORKER_LEASE_S", "0.1")  # the broker is young, too
    with redis.Redis.from_url(valkey.redis_url) as connection:
        connection.set(keys.TIDIED, "test")
    return Sweeper(Settings.load().with_broker(valkey.url), "test")


def submit(ledger, *, tenant="default", count=1, **options) -> list[str]:
    jobs = [
        registration(ImageJob(source="/a.jpg", output="/out", tenant=tenant, **options))
        for _ in range(count)
    ]
    ledger.register(jobs)
    return [job.id for job in jobs]


def manifest(job_id: str, *failures) -> Manifest:
    return Manifest(
        job_id=job_id,
        source="/a.jpg",
        output="/out",
        recipe="web",
        tenant="default",
        status="failed" if failures else "done",
        failures=failures,
        attempts=1,
        worker="w",
        finished_at=dt.datetime.now(dt.UTC),
    )


def claim_as(ledger: JobLedger, job_id: str, owner: str) -> str:
    """What a process elsewhere is answered."""
    return ledger.scripts.run(ledger._claim, job_id, owner, 600, 3, "", 5042)[0].decode()  # noqa: SLF001


def on_queue(client, queue=BULK) -> int:
    return client.llen(queue)


def expire(client, job_id: str) -> None:
    """As if the lease had run out a second ago."""
    past = time.time() - 1
    client.hset(keys.JOB + job_id, "lease_until", past)
    client.zadd(keys.RUNNING, {job_id: past})


def test_of_forty_racing_workers_one_gets_the_job(client, valkey):
    (job_id,) = submit(make(client))
    outcomes: Counter[str] = Counter()
    start = threading.Barrier(40)

    def race() -> None:
        own = make(redis.Redis.from_url(valkey.redis_url))
        start.wait()
        # Another process's name, or a racer would take the others for its own dead self.
        answer = claim_as(own, job_id, f"host-{id(own)}:1")
        outcomes[answer] += 1

    racers = [threading.Thread(target=race) for _ in range(40)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    assert outcomes == {"run": 1, "busy": 39}


def test_only_the_newest_fence_ends_a_job_and_its_spend_is_charged_once(ledger, client):
    (job_id,) = submit(ledger)
    frozen = ledger.claim(job_id)
    expire(client, job_id)
    newer = ledger.claim(job_id)

    assert (newer.outcome, newer.fence) == ("run", frozen.fence + 1)
    assert not ledger.complete(manifest(job_id), frozen.fence).accepted
    assert ledger.complete(manifest(job_id), newer.fence).accepted
    assert not ledger.complete(manifest(job_id), newer.fence).accepted
    assert client.hget(keys.TOTALS, "done") == b"1"
    assert [attempt.how for attempt in ledger.attempts(job_id)] == ["lost", "done"]
    assert client.ttl(keys.JOB + job_id) > 0
    assert client.hlen(keys.IN_FLIGHT) == 0


def test_a_heartbeat_keeps_the_lease_and_ends_when_the_job_is_taken_over(client):
    ledger = make(client, lease_s=0.6)
    (job_id,) = submit(ledger)
    claim = ledger.claim(job_id)
    with ledger.heartbeat(job_id, claim.fence):
        time.sleep(1.2)
        assert float(client.hget(keys.JOB + job_id, "lease_until")) > time.time()


def test_a_job_whose_lease_ran_out_comes_back_to_the_queue(ledger, client, sweeper):
    (job_id,) = submit(ledger)
    ledger.claim(job_id)
    client.delete(BULK)
    assert sweeper.sweep() == {}
    expire(client, job_id)

    assert sweeper.sweep() == {"leases": 1}
    assert ledger.status(job_id).state == "queued"
    assert on_queue(client, ENCODE) == 1
    assert sweeper.sweep() == {}
    assert ledger.claim(job_id).attempts == 2


def test_a_job_that_used_up_its_attempts_is_quarantined_with_its_history(ledger, client, sweeper):
    (job_id,) = submit(ledger)
    for _ in range(3):
        assert ledger.claim(job_id).outcome == "run"
        expire(client, job_id)
        sweeper.sweep()
    last = ledger.claim(job_id)
    attempts = [a for a in ledger.attempts(job_id) if a.how == "lost"]

    assert (last.outcome, len(attempts)) == ("exhausted", 3)
    failure = worker_lost(attempts)
    assert failure.message.count("its lease ran out") == 3
    ledger.complete(manifest(job_id, failure), last.fence)
    assert ledger.status(job_id).state == "quarantined"
    assert [row.id for row in JobDesk(ledger).jobs(["quarantined"])] == [job_id]


def test_a_child_that_died_frees_its_job_at_once_and_one_that_was_ended_costs_no_attempt(
    ledger, client
):
    (job_id,) = submit(ledger)
    owner = "elsewhere:1"
    word = Abandonment(client, QueueSettings(), None)
    assert claim_as(ledger, job_id, owner) == "run"
    assert ledger.claim(job_id).outcome == "busy"

    assert word.tell(job_id, owner, "lost", "its process died") >= 0

    assert ledger.status(job_id).state == "queued"
    assert on_queue(client, ENCODE) == 1
    assert ledger.claim(job_id).attempts == 2
    mine = ledger.status(job_id).worker
    assert word.tell(job_id, "stranger:2", "given_back", "drained") == -1
    assert word.tell(job_id, mine, "given_back", "drained") >= 0
    assert ledger.claim(job_id).attempts == 2
    assert [a.how for a in ledger.attempts(job_id)] == ["lost", "given_back"]
    assert int(client.hget(keys.TOTALS, "rework_ms") or 0) >= 0


def test_a_job_that_was_put_off_comes_back_when_it_is_due(ledger, client, sweeper):
    (job_id,) = submit(ledger)
    claim = ledger.claim(job_id)
    client.delete(BULK)
    ledger.delay(job_id, claim.fence, 0.3, "the store is away")

    assert ledger.status(job_id).state == "delayed"
    assert sweeper.sweep() == {}
    time.sleep(0.35)
    assert sweeper.sweep() == {"delayed": 1}
    again = ledger.claim(job_id)
    assert (again.outcome, again.attempts, again.tries) == ("run", 1, 1)


def test_a_job_past_its_deadline_is_sent_to_be_ended_as_late(ledger, client, sweeper):
    (job_id,) = submit(ledger, deadline_s=0.2)
    time.sleep(0.3)

    assert sweeper.sweep() == {"late": 1}
    assert on_queue(client, ENCODE) == 1
    assert ledger.claim(job_id).outcome == "late"


def test_a_message_that_was_lost_is_sent_again(ledger, client, sweeper):
    (job_id,) = submit(ledger)
    client.delete(BULK)  # a broker that forgot it
    client.zadd(keys.QUEUED + BULK, {job_id: time.time() - 31})

    assert sweeper.sweep() == {"messages": 1}
    assert on_queue(client, ENCODE) == 1
    assert sweeper.sweep() == {}


def test_a_fanned_out_job_lives_by_its_members_and_is_begun_again_without_them(client, sweeper):
    ledger = make(client, lease_s=0.4)
    (job_id,) = submit(ledger)
    claim = ledger.claim(job_id)
    assert ledger.hand_over(job_id, claim.fence)
    with ledger.heartbeat(job_id, claim.fence, "w640") as wanted:
        assert wanted
        time.sleep(1.0)
        assert sweeper.sweep() == {}
    # A second member whose worker is gone: its part is not renewed any more.
    ledger._keep(job_id, claim.fence, "w320", "work")  # noqa: SLF001
    time.sleep(0.5)
    assert sweeper.sweep() == {"parts": 1}
    newer = ledger.claim(job_id)
    assert newer.outcome == "run"
    with ledger.heartbeat(job_id, claim.fence, "w320") as wanted:
        assert not wanted  # a member of the run that was given up


def test_a_process_that_handed_a_job_over_may_go_without_the_job_being_taken(ledger):
    (job_id,) = submit(ledger)
    claim = ledger.claim(job_id)
    ledger.hand_over(job_id, claim.fence)

    assert ledger.claim(job_id).outcome == "busy"  # the owner is this very process


def test_two_sweepers_never_sweep_at_once_and_the_second_follows(valkey, sweeper, client):
    client.set(keys.TIDIED, "test")
    second = Sweeper(Settings.load().with_broker(valkey.url), "second")
    sweeper.sweep()
    (job_id,) = submit(make(client))
    make(client).claim(job_id)
    expire(client, job_id)

    assert second.sweep() == {}
    sweeper.resign()
    assert second.sweep() == {"leases": 1}


def test_ten_jobs_of_one_tenant_do_not_wait_behind_ten_thousand_of_another(client):
    ledger = make(client, depth=20)
    submit(ledger, tenant="big", count=2_000)
    small = set(submit(ledger, tenant="small", count=10))
    assert on_queue(client) == 20
    order: list[str] = []

    while len(order) < 60:
        job_id = take(client)
        order.append(job_id)
        ledger.complete(manifest(job_id), ledger.claim(job_id).fence)

    # Behind what was on the queue, and then every second one.
    assert max(order.index(job_id) for job_id in small) < 20 + 2 * 10


def take(client) -> str:
    """What a consumer gets next: the message's id."""
    import json  # noqa: PLC0415

    return json.loads(client.rpop(BULK))["headers"]["id"]


def test_a_tenant_has_no_more_jobs_in_flight_than_it_may(client):
    ledger = make(client, depth=50, tenant_in_flight=5)
    submit(ledger, tenant="big", count=40)
    submit(ledger, tenant="small", count=3)
    assert on_queue(client) == 8

    job_id = take(client)
    claim = ledger.claim(job_id)
    assert on_queue(client) == 7  # in work counts as well
    ledger.complete(manifest(job_id), claim.fence)
    assert on_queue(client) == 8


def test_every_job_of_every_tenant_comes_onto_the_queue_once(client):
    ledger = make(client, depth=20)
    expected = {
        job_id
        for tenant in "abc"
        for job_id in submit(ledger, tenant=tenant, count=31 + ord(tenant))
    }
    seen: list[str] = []
    while on_queue(client):
        job_id = take(client)
        seen.append(job_id)
        ledger.complete(manifest(job_id), ledger.claim(job_id).fence)

    assert sorted(seen) == sorted(expected)
    assert set(client.hgetall(keys.BACKLOG).values()) == {b"0"}
    assert not client.exists(keys.IN_FLIGHT, keys.TURNS + BULK, keys.QUEUED + BULK, keys.RUNNING)


def test_past_the_backlog_limit_a_job_is_refused_with_the_time_to_come_again(
    valkey, client, monkeypatch
):
    monkeypatch.setenv("PIXFLEET_QUEUE_MAX_BACKLOG", "30")
    producer = Producer(valkey.url)
    jobs = [ImageJob(source=f"/{n}.jpg", output="/out") for n in range(40)]
    handles = []

    with pytest.raises(BacklogFullError, match="10 jobs were refused") as refusal:
        handles.extend(producer.submit_many(jobs))

    assert len(handles) == 30
    assert 1 <= refusal.value.retry_after_s <= 600
    job_id = take(client)
    ledger = make(client)
    ledger.complete(manifest(job_id), ledger.claim(job_id).fence)
    assert producer.submit(jobs[0]).accepted


def test_a_refused_producer_waits_for_room_as_long_as_it_is_told(valkey, client, monkeypatch):
    monkeypatch.setenv("PIXFLEET_QUEUE_MAX_BACKLOG", "20")
    producer = Producer(valkey.url)
    job = ImageJob(source="/a.jpg", output="/out")
    list(producer.submit_many([job] * 20))
    client.hset(keys.PACE, mapping={"per_s": 100, "minute": 0})

    def make_room() -> None:
        own = make(redis.Redis.from_url(valkey.redis_url))
        job_id = take(client)
        own.complete(manifest(job_id), own.claim(job_id).fence)

    worker = threading.Timer(0.3, make_room)
    worker.start()
    assert producer.submit(job, patience_s=30).accepted
    worker.join()


def test_a_cancelled_job_is_sent_to_be_ended_and_a_retried_one_waits_again(ledger, client):
    first, second = submit(ledger, count=2)
    desk = JobDesk(ledger)
    client.delete(BULK)

    assert desk.cancel(first)
    assert on_queue(client, ENCODE) == 1
    claim = ledger.claim(first)
    assert claim.outcome == "cancelled"
    ledger.complete(manifest(first, CANCELLED_EARLY), claim.fence)
    assert ledger.status(first).state == "cancelled"
    assert not desk.cancel(first)

    running = ledger.claim(second)
    assert not desk.cancel(second)
    ledger.complete(manifest(second), running.fence)
    assert ledger.status(second).state == "done"
    assert not desk.retry(second)

    assert desk.retry(first)
    assert ledger.status(first).state == "queued"
    assert client.ttl(keys.JOB + first) == -1
    assert ledger.claim(first).outcome == "run"


def test_a_retried_job_of_a_batch_ends_the_batch_again(ledger, client):
    batch = "b-1"
    (job_id,) = submit(ledger, batch=batch)
    ledger.close_batch(batch, {"output": "/out"})
    failure = CANCELLED_EARLY.model_copy(update={"code": "source_not_found"})
    end = ledger.complete(manifest(job_id, failure), ledger.claim(job_id).fence)
    assert end.ended_batch == batch
    ledger.finish_batch(batch)

    assert JobDesk(ledger).retry(job_id)
    status = ledger.batch(batch)
    assert (status.failed, status.done, status.summarized) == (0, 0, False)
    end = ledger.complete(manifest(job_id), ledger.claim(job_id).fence)
    assert end.ended_batch == batch
    assert (ledger.batch(batch).failed, ledger.batch(batch).done) == (0, 1)
    assert client.ttl(keys.JOB + job_id) > 600


def test_a_purge_ends_all_that_waits_of_one_tenant_and_leaves_the_other(client):
    ledger = make(client, depth=20)
    submit(ledger, tenant="big", count=700)
    submit(ledger, tenant="small", count=5)
    desk = JobDesk(ledger)
    numbers = desk.numbers()
    assert (numbers["waiting"], numbers["queued"]) == (685, 20)

    assert desk.purge("big") == 700

    assert on_queue(client, ENCODE) == 700
    left = [row.id for row in desk.jobs(["waiting", "queued"], "small")]
    assert len(left) == 5


def test_a_summary_whose_message_was_lost_is_asked_for_again(client, sweeper):
    client.zadd(keys.SUMMARIES, {"b-1": time.time() - 20})

    assert sweeper.sweep() == {"summaries": 1}
    assert on_queue(client, ENCODE) == 1
    assert sweeper.sweep() == {}


def test_the_history_of_a_job_is_bounded(ledger):
    (job_id,) = submit(ledger)
    for number in range(50):
        ledger.delay(job_id, ledger.claim(job_id).fence, 0, f"try {number}")

    attempts = ledger.attempts(job_id)
    assert len(attempts) == 20
    assert attempts[-1].why == "try 49"


@pytest.mark.parametrize(
    "seconds",
    [0, 951_782_400, 951_868_799, 951_868_800, 1_764_041_234, 1_795_564_799, 4_102_444_799],
)
def test_the_periods_that_spend_is_charged_to_are_those_of_redis(ledger, client, seconds):
    lua = ledger.scripts._prelude.replace("tonumber(clock[1]) +", f"{seconds} +")  # noqa: SLF001
    now = dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=None)
    midnight = dt.datetime.combine(now.date(), dt.time())
    monday = midnight - dt.timedelta(days=now.weekday())
    next_month = (midnight.replace(day=28) + dt.timedelta(days=4)).replace(day=1)
    expected = {
        "hour": (
            f"hour:{now:%Y-%m-%dT%H}",
            now.replace(minute=0, second=0) + dt.timedelta(hours=1),
        ),
        "day": (f"day:{now:%Y-%m-%d}", midnight + dt.timedelta(days=1)),
        "week": (f"week:{monday:%Y-%m-%d}", monday + dt.timedelta(days=7)),
        "month": (f"month:{now:%Y-%m}", next_month),
    }
    for period, (name, end) in expected.items():
        ask = f"{lua}\nreturn {{periods().{period}[1], periods().{period}[2]}}"
        found, end_s = client.eval(ask, 0)
        assert found.decode() == name
        assert dt.datetime.fromtimestamp(end_s, dt.UTC).replace(tzinfo=None) == end


def test_what_a_queue_beyond_redis_does_not_take_is_sent_by_the_sweeper(client, sweeper):
    def refuse(queue, envelopes):
        raise ConnectionError(f"{queue}: {len(envelopes)}")

    taken: list[tuple[str, int]] = []
    queues = QueueSettings()
    options = {"lease_s": 30, "max_attempts": 3, "ttl_s": 600, "machine": MACHINE}
    ledger = JobLedger(client, queues, refuse, **options)
    ids = submit(ledger, count=12)
    assert on_queue(client) == 0
    assert {ledger.status(job_id).state for job_id in ids} == {"queued"}

    post = lambda queue, envelopes: taken.append((queue, len(envelopes)))  # noqa: E731
    sweeper._ledger.scripts.__init__(client, queues, post)  # noqa: SLF001
    sweeper._script = sweeper._ledger.scripts.load("pixfleet.workers.fleet", "sweep")  # noqa: SLF001
    assert sweeper.sweep() == {"messages": 12}
    assert taken == [(ENCODE, 12)]


def test_a_job_counts_as_lost_when_those_behind_it_were_taken_and_not_because_a_queue_is_long(
    client, sweeper
):
    ledger = make(client)
    lost, patient = submit(ledger, count=2)
    long_ago = time.time() - 2_000
    client.zadd(keys.QUEUED + BULK, {lost: long_ago, patient: long_ago})
    assert sweeper.sweep() == {}  # nobody works, and the queue is not empty

    (later,) = submit(ledger)
    ledger.claim(later)

    assert sweeper.sweep() == {"messages": 2}


def test_leases_do_not_count_while_their_owners_cannot_have_renewed_them(
    client, valkey, monkeypatch
):
    ledger = make(client)
    (job_id,) = submit(ledger)
    ledger.claim(job_id)
    expire(client, job_id)
    monkeypatch.setenv("PIXFLEET_WORKER_LEASE_S", "86400")  # Redis has not been up that long
    client.set(keys.TIDIED, "test")

    assert Sweeper(Settings.load().with_broker(valkey.url), "test").sweep() == {}
    assert ledger.status(job_id).state == "running"
