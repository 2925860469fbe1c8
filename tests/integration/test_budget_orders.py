"""How people give budgets: the commands of `pixfleet budget`, and a file that the fleet follows."""

from __future__ import annotations

import json

import pytest
import redis
from structlog.testing import capture_logs
from typer.testing import CliRunner

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.workers.cli_budget import budget_app
from pixfleet.workers.doctor import examine
from pixfleet.workers.spend.budgets import BudgetBook

from .spending import CENT, ledger_of, spend, sweeper_of

DAY = '[[budget]]\nowner = "{}"\nperiod = "day"\nlimit_usd = "{}"\n'


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
def budget(valkey):
    """``pixfleet budget …``: (exit code, stdout, stderr)."""

    def run(*arguments):
        broker = ("--broker", valkey.url)
        given = [*arguments, *broker] if arguments else broker
        done = CliRunner().invoke(budget_app, list(map(str, given)), env={"COLUMNS": "200"})
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture
def look(valkey, tmp_path, monkeypatch):
    """Write the fleet's file of budgets and let the sweeper look; what it logged."""
    file = tmp_path / "budgets.toml"
    monkeypatch.delenv("PIXFLEET_LEDGER", raising=False)
    monkeypatch.setenv("PIXFLEET_BUDGETS_FILE", str(file))
    sweeper = sweeper_of(valkey.url)

    def write(text: str | None) -> list[dict]:
        if text is not None:
            file.write_text(text)
        with capture_logs() as logs:
            sweeper.sweep()
        return logs

    return write


def limits(book) -> dict[str, str]:
    return {one.budget.id: f"{one.budget.limit_usd:f}" for one in book.standings()}


def test_a_budget_is_set_shown_changed_and_removed(budget, ledger):
    assert "no budgets" in budget()[2]
    code, _, said = budget("set", "tenant:a", "--limit", "0.01", "--period", "day")
    assert (code, "may spend 0.010000 USD per day" in said) == (0, True)
    spend(ledger, CENT, tenant="a")

    (row,) = json.loads(budget("list", "--json")[1])
    assert (row["owner"], row["spent_usd"], row["rung"]) == ("tenant:a", "0.010000000", "closed")
    listed = budget()[1]
    assert all(part in listed for part in ("tenant:a", "day", "100%", "closed", "━"))
    shown = budget("show", "tenant:a")[1]
    assert "essential from  90%, 0.009000 USD" in shown
    assert "closed since 20" in shown

    raised = budget("set", "tenant:a", "--limit", "2", "--period", "day", "--thrifty", "never")
    assert "so it is normal" in raised[2]
    (row,) = json.loads(budget("show", "tenant:a", "--json")[1])
    assert (row["limit_usd"], row["thrifty_at"]) == ("2", None)
    assert budget("remove", "tenant:a", "--period", "month")[0] == 2
    assert json.loads(budget("remove", "tenant:a", "--json")[1]) == ["tenant:a|day"]
    assert budget("remove", "tenant:a")[0] == 2
    assert budget("show", "tenant:a")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("fleet", "--limit", "-3"), "is no budget", id="negative"),
        pytest.param(("acme", "--limit", "3"), "tenant:NAME", id="owner"),
        pytest.param(("fleet", "--limit", "3", "--thrifty", "most"), "neither a share", id="word"),
        pytest.param(("fleet", "--limit", "3", "--alert", "0"), "alert_at", id="alert-at-0"),
        pytest.param(("fleet", "--limit", "3", "--alert", "0.5,,1"), "neither", id="alert-gap"),
        pytest.param(("fleet", "--limit", "3", "--closed", "nan"), "closed_at", id="nan"),
        pytest.param(("fleet", "--limit", "3", "--period", "year"), "'year'", id="period"),
        pytest.param(("fleet",), "--limit", id="no-limit"),
    ],
)
def test_a_wrong_option_sets_nothing_and_says_what_to_mend(budget, book, arguments, said):
    code, _, wrong = budget("set", *arguments)
    assert code == 2
    assert said in wrong
    assert book.standings() == []


def test_a_file_is_applied_whole_or_not_at_all_and_others_stay_unless_pruned(
    budget, book, tmp_path
):
    book.put([Budget(owner="fleet", limit_usd=3)])
    file = tmp_path / "b.toml"
    file.write_text(DAY.format("tenant:a", "1") + DAY.format("tenant:b", "-1"))
    code, _, said = budget("apply", file)
    assert (code, "line 5" in said) == (2, True)
    assert limits(book) == {"fleet|month": "3"}

    file.write_text(DAY.format("tenant:a", "1") + DAY.format("tenant:b", "2"))
    assert "tenant:a: 1.00 USD per day" in budget("apply", file)[2]
    assert "nothing has changed" in budget("apply", file)[2]
    assert len(limits(book)) == 3
    answer = json.loads(budget("apply", file, "--prune", "--json")[1])
    assert answer == {"changed": [], "removed": ["fleet|month"]}


def test_the_fleet_follows_its_file_when_it_changes_and_else_leaves_what_was_set_by_hand(
    look, budget, book
):
    budget("set", "fleet", "--limit", "9")
    (line,) = look(DAY.format("tenant:a", "1") + DAY.format("tenant:b", "2"))
    assert line["event"] == "budgets.read"
    assert line["changed"] == ["tenant:a|day", "tenant:b|day"]
    assert look(None) == []

    budget("set", "tenant:a", "--limit", "7", "--period", "day")
    assert look(None) == []
    assert limits(book) == {"fleet|month": "9", "tenant:a|day": "7", "tenant:b|day": "2"}
    (line,) = look(DAY.format("tenant:a", "3"))
    assert (line["changed"], line["removed"]) == (["tenant:a|day"], ["tenant:b|day"])
    assert limits(book) == {"fleet|month": "9", "tenant:a|day": "3"}


def test_a_faulty_file_changes_nothing_and_is_logged_once_and_doctor_shows_it(look, book, valkey):
    look(DAY.format("tenant:a", "1"))
    (line,) = look(DAY.format("tenant:a", "1") + DAY.format("tenant:a", "2"))
    assert (line["log_level"], line["event"]) == ("error", "budgets.faulty")
    assert "line 5: budget 2: tenant:a has a budget for the day already" in line["reason"]
    assert look(None) == []
    assert limits(book) == {"tenant:a|day": "1"}

    (bad,) = (finding for finding in examine(valkey.url) if finding.part == "budgets")
    assert (bad.level, "line 5" in bad.found) == ("bad", True)
    assert look(DAY.format("tenant:a", "5"))[0]["event"] == "budgets.read"
    assert limits(book) == {"tenant:a|day": "5"}


def test_doctor_names_a_budget_that_is_closed(ledger, book, valkey):
    book.put([Budget(owner="tenant:a", limit_usd=CENT), Budget(owner="fleet", limit_usd=9)])
    spend(ledger, CENT, tenant="a")
    (closed,) = (finding for finding in examine(valkey.url) if finding.part == "budgets")
    assert closed.level == "note"
    assert "tenant:a, month: closed" in closed.found
    assert "pixfleet budget set tenant:a --period month" in closed.mend
