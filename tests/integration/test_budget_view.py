"""What the Budget page is told, against the ledger's own sums, in a real Valkey."""

from __future__ import annotations

import datetime as dt
import json
import shlex
from decimal import Decimal

import pytest
import redis
import typer
from typer.testing import CliRunner

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.producer import Producer
from pixfleet.workers.cli_budget import budget_app
from pixfleet.workers.cli_spend import spend as spend_command
from pixfleet.workers.monitor.budget_view import BudgetView
from pixfleet.workers.spend.book import SpendBook
from pixfleet.workers.spend.budgets import BudgetBook
from pixfleet.workers.spend.digest import SpendDigest
from pixfleet.workers.spend.statement import make_statement

from .spending import CENT, ledger_of, spend, submit

BYS = ("line", "tenant", "recipe")
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connection:
        yield connection


@pytest.fixture
def ledger(valkey):
    return Producer(valkey.url).ledger


@pytest.fixture
def jobs(client):
    return ledger_of(client)


@pytest.fixture
def view(ledger):
    return BudgetView(ledger)


@pytest.fixture
def said(valkey):
    """What a command prints as JSON."""
    app = typer.Typer()
    app.command("spend")(spend_command)
    app.add_typer(budget_app, name="budget")

    def ask(*arguments: str):
        done = CliRunner().invoke(app, [*arguments, "--broker", valkey.url, "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return ask


def write(client, at: dt.datetime, scale: int = 1, tenants: int = 3, size: int = 13) -> str:
    """Sums of an hour (or by its size a day or month) as the ledger's scripts keep them."""
    name = at.strftime("%Y-%m-%dT%H")[:size]
    sums = {"||capacity": 1_000 * scale, "||tree": 700 * scale}
    for number in range(tenants):
        who = f"tenant-{number}|web|"
        sums |= {f"{who}encode": 90 * scale, f"{who}s3_put": 7 * scale + number}
        sums |= {f"{who}#machine_nano": 90 * scale, f"{who}#images": 2, f"{who}#pixels": 5_000}
    for field, amount in sums.items():
        client.hincrby(keys.SPENT + name, field, amount)
    start = at.replace(minute=0, second=0, microsecond=0)
    start = start.replace(hour=0) if size < 13 else start
    client.zadd(keys.SPENT_LIST, {name: (start.replace(day=1) if size < 10 else start).timestamp()})
    return name


def month_of(now: dt.datetime) -> dt.datetime:
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def agrees(digest: SpendDigest, ledger, since: dt.datetime) -> bool:
    """Whether a refreshed digest tells of every hour, day and month what the ledger's sums do."""
    now = digest.now()
    digest.refresh(now, since)
    entries = SpendBook(ledger).entries(since)
    assert entries
    for size in (7, 10, 13):
        for name in {entry.bucket[:size] for entry in entries if len(entry.bucket) >= size}:
            some = [entry for entry in entries if entry.bucket[:size] == name]
            if size == 13 and some[0].start < now - 8 * 24 * HOUR:
                continue
            for by in BYS:
                if digest.statement(name, by) != make_statement(some, by):
                    return False
    return True


def test_a_digest_tells_of_every_hour_day_and_month_what_the_ledger_does(client, ledger):
    digest = SpendDigest(ledger)
    now = digest.now()
    for back in (*range(30), 24 * 9, 24 * 20):
        write(client, now - back * HOUR, scale=back + 1)
    since = month_of(now - 40 * 24 * HOUR)

    assert agrees(digest, ledger, since)
    write(client, now, scale=11, tenants=5)
    assert agrees(digest, ledger, since)


def test_a_digest_reads_an_hour_that_is_over_once_and_the_newest_every_time(client, ledger):
    digest = SpendDigest(ledger)
    now = digest.now()
    since = month_of(now - 40 * 24 * HOUR)
    over, newest = write(client, now - 5 * HOUR), write(client, now)
    digest.refresh(now, since)

    for name in (over, newest):
        client.hincrby(keys.SPENT + name, "tenant-0|web|fetch", 5_000)
    digest.refresh(digest.now(), since)

    def fetched(name: str) -> int:
        return sum(s.nano_usd for s in digest.statement(name, "line").shares if s.name == "fetch")

    assert (fetched(over), fetched(newest)) == (0, 5_000)
    digest.refresh(now, since)  # a clock that was set back
    assert (fetched(over), fetched(newest)) == (5_000, 5_000)


@pytest.mark.parametrize("days_kept", [400, 36])
def test_a_digest_follows_what_is_folded_under_it(client, ledger, days_kept):
    digest = SpendDigest(ledger)
    now = digest.now()
    for back in range(26 * 24 // 6):
        write(client, now - 30 * 24 * HOUR - 6 * back * HOUR, scale=back + 1)
    write(client, now)
    since = month_of(now - 70 * 24 * HOUR)
    assert agrees(digest, ledger, since)
    before = {name: digest.statement(name, "tenant") for name in {f"{now:%Y-%m}", f"{since:%Y-%m}"}}

    assert SpendBook(ledger).compact(35, days_kept) > 10

    assert agrees(digest, ledger, since)
    assert before == {name: digest.statement(name, "tenant") for name in before}


def test_a_digest_forgets_what_the_ledger_has_lost(client, ledger):
    digest = SpendDigest(ledger)
    now = digest.now()
    write(client, now - 3 * HOUR, scale=50)
    write(client, now)
    assert agrees(digest, ledger, month_of(now - 3 * HOUR))

    client.flushall()
    write(client, now, scale=3)

    assert agrees(digest, ledger, month_of(now - 3 * HOUR))


def test_the_page_is_told_what_spend_and_budget_print(client, ledger, jobs, view, said):
    book = BudgetBook(ledger)
    book.put(
        [Budget(owner="fleet", limit_usd=Decimal(5)), Budget(owner="tenant:a", limit_usd=CENT)]
    )
    write(client, SpendDigest(ledger).now(), scale=10**6)
    spend(jobs, 30 * CENT, tenant="a")
    spend(jobs, 5 * CENT, tenant="b", recipe="thumbnail")

    told = view.read()

    month = told["month"]
    for group in ("stage", "tenant", "recipe"):
        bill = said("spend", "--by", group)
        assert month["bill_usd"] == bill["bill_usd"]
        assert month["usd_per_1000_images"] == bill["usd_per_1000_images"]
        assert month["utilisation"] == bill["utilisation"]
        assert [(one["name"], one["usd"]) for one in month["shares"][group]["first"]] == [
            (one["name"], one["usd"]) for one in bill["shares"]
        ]
    budgets = said("budget", "list")
    assert len(budgets) == 2
    for shown, printed in zip(told["budgets"], budgets, strict=True):
        for name in ("owner", "period", "limit_usd", "spent_usd", "share", "rung", "held"):
            assert shown[name] == printed[name]
    assert [one["rung"] for one in told["budgets"]] == ["normal", "closed"]


def test_series_of_the_chart_add_up_to_the_bill_of_each_step(client, ledger, view):
    now = SpendDigest(ledger).now()
    for back in range(0, 24 * 29, 7):
        write(client, now - back * HOUR, scale=back + 1, tenants=12)
    entries = SpendBook(ledger).entries()

    for span, size, count in (("1d", 13, 24), ("1w", 13, 169), ("1mo", 10, 31), ("1y", 7, 12)):
        for group in ("stage", "tenant", "recipe"):
            told = view.history(span, group)
            assert len(told["at_s"]) >= count
            for place, at_s in enumerate(told["at_s"]):
                name = dt.datetime.fromtimestamp(at_s, dt.UTC).strftime("%Y-%m-%dT%H")[:size]
                bill = make_statement([e for e in entries if e.bucket[:size] == name]).bill
                total = Decimal(told["total_usd"][place])
                assert total == Decimal(bill.total) / 10**9
                assert sum(Decimal(one["usd"][place]) for one in told["series"]) == total
    tenants = [one["name"] for one in view.history("1w", "tenant")["series"]]
    assert tenants[7:] == ["(others)", "(overhead and idle)"]


def test_the_chart_has_the_limit_of_its_step_or_a_longer_one_spread_evenly(ledger, view):
    book = BudgetBook(ledger)
    assert view.history("1w", "stage")["limit"] is None

    book.put([Budget(owner="fleet", period="day", limit_usd=Decimal(12))])

    hour, day, month = (view.history(span, "stage")["limit"] for span in ("1w", "1mo", "1y"))
    assert hour == {"period": "day", "limit_usd": "12", "usd": "0.500000000"}
    assert day == {"period": "day", "limit_usd": "12", "usd": "12"}
    assert month is None


def test_a_crossing_is_told_with_its_time_its_sentence_and_what_is_held(jobs, ledger, view):
    BudgetBook(ledger).put(
        [Budget(owner="tenant:a", limit_usd=CENT, essential_at=0.5, thrifty_at=None)]
    )
    assert view.read()["log"] == []
    (waiting,) = submit(jobs, tenant="a")
    spend(jobs, CENT * 6 / 10, tenant="a")
    jobs.claim(waiting)

    told = view.read()

    (budget,) = told["budgets"]
    assert (budget["rung"], budget["held"]) == ("essential", 1)
    assert budget["lets"] == "bulk jobs wait, interactive ones go on"
    crossing = told["log"][0]
    assert (crossing["kind"], crossing["from"], crossing["to"]) == ("rung", "normal", "essential")
    assert budget["since_s"] == pytest.approx(crossing["at_s"], abs=0.01)
    assert crossing["text"].startswith("tenant a has spent 0.006000 USD of 0.010000 USD (60%)")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="usual"),
        pytest.param({"thrifty_at": None, "essential_at": None, "period": "day"}, id="closes-only"),
        pytest.param({"alert_at": (), "forecast": False, "thrifty_at": 0.5}, id="quiet"),
        pytest.param({"owner": "fleet", "idle": False, "period": "week"}, id="fleet-without-idle"),
    ],
)
def test_the_command_to_copy_lifts_the_budget_and_changes_nothing_else(
    options, jobs, ledger, view, said
):
    budget = Budget(**{"owner": "tenant:a", "limit_usd": CENT, **options})
    book = BudgetBook(ledger)
    book.put([budget])
    spend(jobs, 3 * CENT, tenant="a")
    (closed,) = view.read()["budgets"]
    assert closed["rung"] == "closed"

    _, *arguments = shlex.split(closed["lift"])
    said(*arguments)

    (lifted,) = book.standings()
    assert lifted.rung == "normal"
    assert lifted.budget == budget.model_copy(update={"limit_usd": lifted.budget.limit_usd})
    assert lifted.budget.limit_usd <= 8 * CENT
    assert view.read()["budgets"][0]["lift"] is None


def test_shares_beyond_the_twentieth_are_summed(client, ledger, view):
    write(client, SpendDigest(ledger).now(), tenants=25)

    shares = view.read()["today"]["shares"]["tenant"]

    assert (len(shares["first"]), shares["others"]) == (20, 5)
    every = [Decimal(one["usd"]) for one in shares["first"]] + [Decimal(shares["others_usd"])]
    assert sum(every) == Decimal(sum(97 + number for number in range(25))) / 10**9
