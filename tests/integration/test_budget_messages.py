"""What the command line says of jobs that a budget holds."""

from __future__ import annotations

import json

import pytest
import redis
from typer.testing import CliRunner

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.producer import BudgetClosedError, ImageJob, Producer, ResultTimeoutError
from pixfleet.producer.cli import app
from pixfleet.workers.spend.budgets import BudgetBook
from tests.hostile import photo

from .spending import CENT, ledger_of, spend

CLOSED = "the budget of tenant:a is closed: 0.010000 of 0.01 USD are spent this month"


@pytest.fixture
def ledger(valkey):
    with redis.Redis.from_url(valkey.redis_url) as client:
        yield ledger_of(client)


@pytest.fixture
def pixfleet(valkey):
    """``pixfleet …``: (exit code, stdout, stderr, the error that `main` would say)."""

    def run(*arguments):
        given = [*map(str, arguments), "--broker", valkey.url]
        done = CliRunner().invoke(app, given, env={"COLUMNS": "200"})
        return done.exit_code, done.stdout, done.stderr, done.exception

    return run


@pytest.fixture
def held(valkey, ledger):
    """Three jobs of a batch: one that a worker has put aside, and two whose turn does not come."""
    BudgetBook(ledger).put([Budget(owner="tenant:a", limit_usd=CENT)])
    job = ImageJob(source="/a.jpg", output="/out", tenant="a", batch="b-1")
    producer = Producer(valkey.url)
    ids = [handle.id for handle in producer.submit_many([job] * 3)]
    producer.close_batch("b-1", output="/out")
    spend(ledger, CENT, tenant="a")
    assert ledger.claim(ids[0]).outcome == "held"
    return ids


def test_status_job_and_jobs_name_the_budget(pixfleet, held):
    for arguments in (("status", held[0]), ("status", held[1]), ("status", "b-1")):
        assert CLOSED in pixfleet(*arguments)[2]
    status = json.loads(pixfleet("status", held[0], "--json")[1])
    assert (status["state"], status["held_by"]) == ("held", "tenant:a")
    assert CLOSED in pixfleet("job", held[0])[1]
    _, listed, said, _ = pixfleet("jobs", "--state", "held")
    assert held[0] in listed
    assert "held by the budget of tenant:a" in listed
    assert CLOSED in said
    assert json.loads(pixfleet("jobs", "--json")[1])["numbers"]["held"] == 1


@pytest.mark.parametrize("which", ["batch", "job"])
def test_waiting_says_once_what_it_waits_for_and_ends_with_3_when_the_time_is_up(
    pixfleet, held, which
):
    wanted = "b-1" if which == "batch" else held[0]
    code, _, said, _ = pixfleet("wait", wanted, "--timeout-s", "0.5")
    assert code == 3
    assert said.count("what waits is kept") == 1
    assert CLOSED in said


def test_submitting_is_refused_with_the_reason_and_a_job_says_why_it_has_no_result(
    pixfleet, ledger, held, tmp_path
):
    (tmp_path / "a.jpg").write_bytes(photo("JPEG"))
    to = ("--out", tmp_path / "out", "--tenant", "a")
    code, out, _, error = pixfleet("submit", tmp_path / "a.jpg", *to)
    assert (code, out) == (1, "")  # `main` makes 3 of it
    assert isinstance(error, BudgetClosedError)
    assert CLOSED in str(error)
    assert (error.http_status, error.budget) == (402, "tenant:a|month")
    assert 0 < error.retry_after_s <= 31 * 86_400
    assert not ledger.redis.exists(keys.SUMMARIES), "there is nothing to be summarized"
    with pytest.raises(ResultTimeoutError, match="the budget of tenant:a holds it"):
        ledger.wait(held[0], timeout_s=0.05)
