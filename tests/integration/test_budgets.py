"""Budgets against a real Valkey: what crosses them, what they hold, and what lets it go on."""

from __future__ import annotations

import json
import multiprocessing
from decimal import Decimal

import pytest
import redis

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.config.prices import to_nano
from pixfleet.config.queues import BULK, ENCODE, INTERACTIVE
from pixfleet.producer import (
    BacklogFullError,
    BudgetClosedError,
    ImageJob,
    LedgerUnavailableError,
    Producer,
)
from pixfleet.producer.admission import admit
from pixfleet.producer.client import registration
from pixfleet.producer.desk import JobDesk
from pixfleet.producer.holding import holds
from pixfleet.workers.monitor.collect import FleetReader
from pixfleet.workers.spend.budgets import BudgetBook
from tests.brokers import free_port

from .spending import CENT, a_job, complete, end, happened, ledger_of, spend, submit, sweeper_of


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connection:
        connection.set(keys.TIDIED, "test")
        yield connection


@pytest.fixture
def ledger(client):
    return ledger_of(client)


@pytest.fixture
def book(ledger):
    return BudgetBook(ledger)


@pytest.fixture
def sweep(valkey, monkeypatch):
    monkeypatch.delenv("PIXFLEET_LEDGER", raising=False)
    monkeypatch.setenv("PIXFLEET_WORKER_LEASE_S", "0.1")  # the broker is young, too
    return sweeper_of(valkey.url).sweep


def states(ledger, ids) -> set[str]:
    return {job.state for job in ledger.statuses(ids)}


@pytest.mark.parametrize("owner", ["fleet", "tenant:shop", "recipe:web"])
def test_a_closed_budget_refuses_keeps_what_is_queued_and_lets_it_all_go_on_when_raised(
    ledger, book, client, sweep, owner
):
    book.put([Budget(owner=owner, limit_usd=CENT)])
    begun, *queued = submit(ledger, 400, tenant="shop")
    end(ledger, begun, 2 * CENT)

    refused = a_job(tenant="shop")
    with pytest.raises(BudgetClosedError, match=owner) as caught:
        raise admit(ledger, [refused], 0)[1] or AssertionError("it was admitted")
    assert (caught.value.spent_usd, caught.value.limit_usd) == (2 * CENT, CENT)
    assert not client.exists(keys.JOB + refused.id)
    # A worker that gets one of the messages that are on the queue already puts it aside.
    assert ledger.claim(queued[0]).outcome == "held"
    assert ledger.claim(queued[0]).outcome == "held"
    assert ledger.status(queued[0]).held_by == owner
    assert holds(ledger, "shop", "web", BULK).owner == owner

    book.put([Budget(owner=owner, limit_usd=1)])
    sweep()
    for job_id in queued:
        end(ledger, job_id)
    assert states(ledger, [begun, *queued]) == {"done"}
    assert not any(int(count) for count in client.hvals(keys.BACKLOG))
    assert not client.exists(keys.IN_FLIGHT)


@pytest.mark.parametrize(
    ("owner", "other"),
    [
        pytest.param("tenant:shop", {"tenant": "other", "recipe": "web"}, id="tenant"),
        pytest.param("recipe:web", {"tenant": "shop", "recipe": "thumbnail"}, id="recipe"),
    ],
)
def test_another_tenant_and_another_recipe_go_on(ledger, book, sweep, owner, other):
    book.put([Budget(owner=owner, limit_usd=CENT)])
    first, *behind = submit(ledger, 300, tenant="shop", recipe="web")
    end(ledger, first, CENT)

    others = submit(ledger, 20, **other)
    for job_id in behind[:256]:  # what is on the queue already
        assert ledger.claim(job_id).outcome == "held"
    sweep()

    for job_id in others:
        end(ledger, job_id)
    assert "done" not in states(ledger, behind)


def test_bulk_jobs_wait_and_interactive_ones_go_on_in_the_essential_rung(ledger, book, client):
    book.put([Budget(owner="fleet", limit_usd=100 * CENT)])
    (bulk,) = submit(ledger)
    spend(ledger, 95 * CENT)

    assert ledger.claim(bulk).outcome == "held"
    (urgent,) = submit(ledger, queue=INTERACTIVE)
    (later,) = submit(ledger)
    claim = ledger.claim(urgent)
    assert (claim.outcome, claim.thrifty) == ("run", True)
    assert ledger.status(later).state == "waiting"
    assert client.llen(BULK) == 2  # those that were there before
    assert holds(ledger, "default", "web", INTERACTIVE) is None
    assert holds(ledger, "default", "web", BULK).rung == "essential"


def test_each_rung_is_reached_at_its_share_and_never_when_it_is_set_to_that(ledger, book):
    book.put([Budget(owner="tenant:a", limit_usd=100 * CENT, essential_at=None, closed_at=None)])
    book.put([Budget(owner="tenant:b", limit_usd=100 * CENT, thrifty_at=None)])
    found = []
    for usd in (79 * CENT, CENT, 10 * CENT, 10 * CENT, 100 * CENT):
        for tenant in ("a", "b"):
            if usd and holds(ledger, tenant, "web", BULK) is None:
                spend(ledger, usd, tenant=tenant)
        found.append(tuple(one.rung for one in book.standings()))
    assert found == [
        ("normal", "normal"),
        ("thrifty", "normal"),
        ("thrifty", "essential"),
        ("thrifty", "essential"),
        ("thrifty", "essential"),
    ]


def test_the_tighter_of_a_day_and_a_month_counts_and_who_is_refused_hears_of_the_longer(
    ledger, book, sweep
):
    day = Budget(owner="tenant:a", period="day", limit_usd=CENT)
    month = Budget(owner="tenant:a", period="month", limit_usd=100 * CENT)
    book.put([day, month])
    (waiting,) = submit(ledger, tenant="a")
    spend(ledger, CENT, tenant="a")
    assert [one.rung for one in book.standings()] == ["closed", "normal"]
    assert holds(ledger, "a", "web", BULK).period == "day"

    book.put([month.model_copy(update={"limit_usd": CENT})])
    hold = holds(ledger, "a", "web", BULK)
    assert (hold.period, hold.ends_at.day) == ("month", 1)
    book.remove("tenant:a", "month")
    sweep()
    assert ledger.claim(waiting).outcome == "held"
    book.remove("tenant:a")
    assert book.standings() == []
    sweep()
    assert ledger.claim(waiting).outcome == "run"


def test_machines_that_nobody_uses_close_the_fleets_budget_unless_it_counts_jobs_alone(
    ledger, book
):
    account = ledger.scripts.load("pixfleet.producer", "account")
    budget = Budget(owner="fleet", limit_usd=CENT)
    book.put([budget])

    ledger.scripts.ask(account, "a worker", "capacity", to_nano(2 * CENT), "tree", 7)

    (standing,) = book.standings()
    assert (standing.rung, standing.spent_usd) == ("closed", 2 * CENT)
    book.put([budget.model_copy(update={"idle": False})])
    assert [(one.rung, one.spent_usd) for one in book.standings()] == [("normal", 0)]


def test_eight_processes_that_charge_at_once_cross_each_threshold_once(
    valkey, ledger, book, client
):
    book.put([Budget(owner="tenant:a", limit_usd=80 * CENT, alert_at=(0.25, 0.5, 1.0))])
    ids = submit(ledger, 160, tenant="a", queue=INTERACTIVE)
    spawn = multiprocessing.get_context("fork")
    processes = [
        spawn.Process(target=charge_all, args=(valkey.redis_url, ids[part::8])) for part in range(8)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0

    rungs = [to for _, kind, to in happened(client) if kind == "rung"]
    assert rungs == ["thrifty", "essential", "closed"]
    assert [to for _, kind, to in happened(client) if kind == "alert"] == ["normal", "normal"]
    ids_ = [json.loads(row)["id"] for row in client.lrange(keys.ALERTS, 0, -1)]
    assert len(set(ids_)) == len(ids_)


def charge_all(url: str, ids: list[str]) -> None:
    """What a worker does with its jobs, until a budget holds them."""
    with redis.Redis.from_url(url) as connection:
        own = ledger_of(connection)
        for job_id in ids:
            claim = own.claim(job_id)
            if claim.outcome != "held":
                complete(own, job_id, claim.fence, CENT)


def test_what_is_in_work_when_a_budget_closes_is_finished_and_is_all_that_goes_beyond(
    ledger, book, client
):
    book.put([Budget(owner="fleet", limit_usd=CENT)])
    crossing, waiting, *running = submit(ledger, 10)
    fences = {job_id: ledger.claim(job_id).fence for job_id in running}
    end(ledger, crossing, CENT)
    assert ledger.claim(waiting).outcome == "held"

    for job_id, fence in fences.items():
        complete(ledger, job_id, fence, CENT)

    (standing,) = book.standings()
    assert standing.spent_usd - CENT == 8 * CENT
    assert happened(client) == [("fleet", "rung", "closed")]


def test_a_job_that_is_held_can_be_cancelled_be_late_and_be_listed(ledger, book, client, sweep):
    book.put([Budget(owner="tenant:a", limit_usd=CENT)])
    kept, gone, late = (
        submit(ledger, tenant="a", **options)[0] for options in ({}, {}, {"deadline_s": 1})
    )
    spend(ledger, CENT, tenant="a")
    assert {ledger.claim(job_id).outcome for job_id in (kept, gone, late)} == {"held"}
    desk = JobDesk(ledger)
    assert desk.numbers()["held"] == 3
    assert {job.held_by for job in desk.jobs(["held"])} == {"tenant:a"}

    assert desk.cancel(gone)
    assert ledger.claim(gone).outcome == "cancelled"
    client.zadd(keys.DEADLINES, {late: 1})
    client.hset(keys.JOB + late, "deadline", 1)
    assert sweep() == {"late": 1}
    assert ledger.claim(late).outcome == "late"
    assert desk.numbers()["held"] == 1
    assert desk.purge("a") == 1
    assert ledger.claim(kept).outcome == "cancelled"


def test_a_job_that_a_foreign_client_queued_is_held_too_and_kept(ledger, book, client, sweep):
    book.put([Budget(owner="tenant:a", limit_usd=CENT)])
    spend(ledger, CENT, tenant="a")
    job = ImageJob(source="/a.jpg", output="/out", tenant="a")

    ledger.register([registration(job, "foreign-1", sent={"source": "/a.jpg"})])

    assert ledger.claim("foreign-1").outcome == "held"
    book.remove("tenant:a")
    assert sweep() == {"released": 1}
    assert client.llen(BULK) == 2
    assert ledger.claim("foreign-1").outcome == "run"


def test_a_job_whose_worker_was_lost_while_the_budget_closed_is_held_and_its_work_is_charged(
    ledger, book, client, sweep
):
    book.put([Budget(owner="tenant:a", limit_usd=CENT)])
    lost, other = submit(ledger, 2, tenant="a")
    ledger.claim(lost)
    end(ledger, other, CENT)
    client.hset(keys.JOB + lost, mapping={"lease_until": 1, "owner": "elsewhere:1"})
    client.zadd(keys.RUNNING, {lost: 1})

    assert sweep() == {"leases": 1}
    assert client.llen(ENCODE) == 1
    assert ledger.claim(lost).outcome == "held"
    assert [attempt.how for attempt in ledger.attempts(lost)] == ["lost"]
    book.remove("tenant:a")
    sweep()
    assert ledger.claim(lost).attempts == 2


def test_jobs_that_a_budget_holds_back_call_for_no_machine_until_it_opens(ledger, book, client):
    book.put([Budget(owner="tenant:a", limit_usd=CENT), Budget(owner="fleet", limit_usd=10)])
    first, *rest = submit(ledger, 300, tenant="a")
    submit(ledger, 5, tenant="b", queue=INTERACTIVE)
    end(ledger, first, CENT)

    reading = FleetReader(client).read()
    on_queue = client.zcard(keys.QUEUED + BULK)
    assert reading.queued == {INTERACTIVE: 5, BULK: on_queue}
    assert reading.held == 299 - on_queue
    for job_id in rest[:on_queue]:
        assert ledger.claim(job_id).outcome == "held"
    assert FleetReader(client).read().queued == {INTERACTIVE: 5, BULK: 0}
    assert FleetReader(client).read().held == 299 == book.standings()[1].held

    book.put([Budget(owner="fleet", limit_usd=CENT)])
    assert sum(FleetReader(client).read().queued.values()) == 0
    assert FleetReader(client).read().held == 304
    # Nobody sweeps in a fleet of no machines, and it has to be woken all the same.
    client.delete(keys.BUDGETS)
    assert FleetReader(client).read().queued == {INTERACTIVE: 5, BULK: 299}
    assert FleetReader(client).read().held == 0


def test_what_budgets_hold_counts_to_the_backlog(client, book):
    own = ledger_of(client, max_backlog=20)
    book.put([Budget(owner="recipe:web", limit_usd=1, thrifty_at=0.5, essential_at=0.5)])
    spend(own, Decimal("0.6"))
    submit(own, 20)
    assert client.zcard(f"{keys.HELD}recipe:web|{BULK}") == 20
    with pytest.raises(BacklogFullError):
        raise admit(own, [a_job(tenant="other")], 0)[1] or AssertionError("it was admitted")


def test_without_redis_nothing_is_queued_whatever_the_budget(aws, sqs):  # noqa: ARG001
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    producer = Producer("sqs://", ledger=nowhere)
    with pytest.raises(LedgerUnavailableError):
        producer.submit(ImageJob(source="/a.jpg", output="/out"))


def test_removing_a_budget_says_that_what_it_closed_is_open(ledger, book, client):
    book.put([Budget(owner="tenant:a", limit_usd=CENT), Budget(owner="tenant:b", limit_usd=1)])
    spend(ledger, CENT, tenant="a")
    assert book.remove("tenant:a") == ["tenant:a|month"]
    assert book.remove("tenant:b") == ["tenant:b|month"]
    assert book.remove("tenant:c") == []
    assert happened(client) == [("tenant:a", "rung", "closed"), ("tenant:a", "rung", "normal")]
    assert not client.exists(keys.RUNGS)


def test_events_that_nobody_fetches_are_bounded(ledger, book, client):
    spend(ledger, CENT, tenant="a")
    client.rpush(keys.ALERTS, *["{}"] * 1500)
    book.put([Budget(owner="tenant:a", limit_usd=CENT)])
    assert client.llen(keys.ALERTS) == 1000
    assert happened(client, newest=1) == [("tenant:a", "rung", "closed")]
