"""Periods end by Redis' clock: at midnight, and when the clock is set wrong and right again."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.config.queues import BULK
from pixfleet.producer.holding import holds
from pixfleet.workers.monitor.collect import FleetReader
from pixfleet.workers.spend.budgets import BudgetBook
from tests.brokers import LoopbackBroker

from .spending import CENT, end, happened, ledger_of, spend, submit, sweeper_of

SKEW = Path(__file__).parents[1] / "chaos" / "skew.c"


@pytest.fixture
def broker_at(tmp_path, monkeypatch):
    """A Valkey whose clock begins at a given moment, the data being those of the one before."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, and so no wrong clock")
    library = tmp_path / "skew.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, SKEW, "-ldl"], check=True)
    monkeypatch.delenv("PIXFLEET_LEDGER", raising=False)
    broker = LoopbackBroker(tmp_path / "data")

    def at(text: str) -> LoopbackBroker:
        broker.stop()
        moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
        with monkeypatch.context() as environment:
            environment.setenv("LD_PRELOAD", str(library))
            environment.setenv("PIXFLEET_TEST_SKEW_S", str(round(moment.timestamp() - time.time())))
            broker.start()
        seconds, _ = broker.client.time()
        assert abs(seconds - moment.timestamp()) < 5
        broker.client.set(keys.TIDIED, "test")
        return broker

    yield at
    broker.client.close()
    broker.kill()


def test_jobs_that_are_held_go_on_when_the_day_ends_and_come_back_to_it_with_the_clock(broker_at):
    broker = broker_at("2030-01-31T23:50:00")
    ledger = ledger_of(broker.client)
    book = BudgetBook(ledger)
    book.put([Budget(owner="tenant:a", period="day", limit_usd=CENT)])
    first, *others = submit(ledger, 4, tenant="a")
    end(ledger, first, CENT)
    assert ledger.claim(others[0]).outcome == "held"
    sweeper_of(broker.url).sweep()
    assert holds(ledger, "a", "web", BULK).ends_at == dt.datetime(2030, 2, 1, tzinfo=dt.UTC)

    # Nobody was there at midnight: the fleet is woken, and then the jobs are let go.
    broker_at("2030-02-01T00:10:00")
    assert FleetReader(broker.client).read().queued[BULK] == 3
    sweeper_of(broker.url).sweep()
    end(ledger, others[0], CENT)
    assert holds(ledger, "a", "web", BULK).ends_at.day == 2
    assert happened(broker.client)[-2:] == [
        ("tenant:a", "rung", "normal"),
        ("tenant:a", "rung", "closed"),
    ]

    # The clock was wrong; the day before has its own sum still, and nothing is said twice of it.
    broker_at("2030-01-31T23:55:00")
    before = happened(broker.client)
    sweeper_of(broker.url).sweep()
    sweeper_of(broker.url).sweep()
    assert [str(one.spent_usd) for one in book.standings()] == ["0.010000000"]
    assert ledger.claim(others[1]).outcome == "held"
    assert len(happened(broker.client)) <= len(before) + 1

    broker_at("2030-02-02T00:00:01")
    sweeper_of(broker.url).sweep()
    for job_id in others[1:]:
        end(ledger, job_id)
    assert not any(int(count) for count in broker.client.hvals(keys.BACKLOG))


def test_the_month_stays_closed_when_the_day_ends_and_opens_with_the_next(broker_at):
    broker = broker_at("2030-02-26T12:00:00")
    ledger = ledger_of(broker.client)
    book = BudgetBook(ledger)
    budget = Budget(owner="fleet", period="month", limit_usd=2 * CENT)
    book.put([budget, budget.model_copy(update={"period": "day", "limit_usd": CENT})])
    spend(ledger, CENT)
    assert holds(ledger, "a", "web", BULK).period == "day"

    broker_at("2030-02-27T12:00:00")
    spend(ledger, CENT)
    broker_at("2030-02-27T23:59:00")
    hold = holds(ledger, "a", "web", BULK)
    assert (hold.period, hold.ends_at) == ("month", dt.datetime(2030, 3, 1, tzinfo=dt.UTC))
    broker_at("2030-03-01T00:00:01")
    assert holds(ledger, "a", "web", BULK) is None


def test_a_redis_that_was_killed_knows_what_was_spent_and_what_it_holds(tmp_path, monkeypatch):
    monkeypatch.delenv("PIXFLEET_LEDGER", raising=False)
    with LoopbackBroker(tmp_path / "data") as broker:
        ledger = ledger_of(broker.client)
        book = BudgetBook(ledger)
        book.put([Budget(owner="tenant:a", period="month", limit_usd=CENT)])
        first, held, waiting = submit(ledger, 3, tenant="a")
        end(ledger, first, CENT)
        assert ledger.claim(held).outcome == "held"
        before = book.standings()

        broker.kill()
        broker.start()

        assert book.standings() == before
        book.remove("tenant:a")
        broker.client.set(keys.TIDIED, "test")
        sweeper_of(broker.url).sweep()
        for job_id in (held, waiting):
            end(ledger, job_id)
