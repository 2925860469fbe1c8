"""What `pixfleet top` draws, of a real ledger, at the sizes of real terminals."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest
import redis
from rich.console import Console

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.workers.monitor.fleet_view import FleetWatch
from pixfleet.workers.spend.budgets import BudgetBook
from pixfleet.workers.top_screen import Screen, plain, render, seconds, sparkline

from .spending import CENT, finish, ledger_of, spend, submit

HOSTILE = "[red]x[/red]\x1b[2J\x07\nevil\u202egnp.jpg"
SIZES = [Screen(80, 24), Screen(120, 40), Screen(40, 20), Screen(20, 6)]


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connection:
        yield connection


def drawn(view, screen, trend=(), trouble=""):
    out = io.StringIO()
    console = Console(file=out, width=screen.columns, force_terminal=False)
    console.print(render(view, trend, screen, trouble=trouble))
    return out.getvalue().splitlines()


def busy(client):
    ledger = ledger_of(client)
    watch = FleetWatch(ledger)
    watch.look()
    for number in range(12):
        name = f"worker-{number}"
        client.zadd(keys.WORKERS, {name: time.time()})
        said = {"state": "working", "active": 1, "children": 2, "machine": "c7i.large spot"}
        client.hset(keys.WORKER + name, mapping=said)
    for number in range(30):
        finish(ledger, codes=["image_corrupt"], source=f"s3://bucket/{'long/' * 30}{number}.jpg")
    submit(ledger, count=5)
    spend(ledger, CENT)
    return watch.look()


@pytest.mark.parametrize("screen", SIZES, ids=lambda one: f"{one.columns}x{one.rows}")
def test_everything_fits_the_terminal(client, screen):
    lines = drawn(busy(client), screen, trend=[1.0, None, 2.0] * 20, trouble="Redis is away")
    assert len(lines) <= screen.rows
    assert max(map(len, lines)) <= screen.columns


def test_a_larger_terminal_tells_more(client):
    view = busy(client)
    small, large = (drawn(view, Screen(*size)) for size in ((80, 24), (140, 60)))
    assert sum("worker-" in line for line in small) >= 2
    assert sum("worker-" in line for line in large) == 12
    assert sum("image_corrupt" in line for line in small) >= 2
    assert sum("image_corrupt" in line for line in large) > 10


def test_its_figures_are_those_of_the_view(client):
    view = busy(client)
    text = "\n".join(drawn(view, Screen(120, 40)))
    assert view.rates
    assert f"{view.rates.images_per_s:.2f} images/s" in text
    assert "5 queued" in text
    assert "12 workers" in text
    assert "today $0.01" in text
    assert "failed in the last hour: image_corrupt 30" in text


def test_strangers_names_are_text(client):
    ledger = ledger_of(client)
    name = HOSTILE.encode().decode()
    client.zadd(keys.WORKERS, {name: time.time()})
    client.hset(keys.WORKER + name, mapping={"state": "draining", "why": HOSTILE})
    finish(ledger, codes=["image_corrupt"], source=HOSTILE)
    text = "\n".join(drawn(FleetWatch(ledger).look(), Screen(200, 60)))
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "[red]x[/red]\\x1b[2J\\x07\\nevil\\u202egnp.jpg" in text


def test_a_fleet_that_did_nothing_yet_is_told_what_to_do(client):
    text = "\n".join(drawn(FleetWatch(ledger_of(client)).look(), Screen(80, 24)))
    assert "no worker is alive" in text
    assert "pixfleet submit samples --out out" in text


def test_jobs_that_wait_for_nobody_are_said(client):
    ledger = ledger_of(client)
    submit(ledger, count=3)
    text = "\n".join(drawn(FleetWatch(ledger).look(), Screen(80, 24)))
    assert "3 jobs wait and no worker is alive" in text


def test_a_budget_that_holds_jobs_is_named(client):
    ledger = ledger_of(client)
    BudgetBook(ledger).put([Budget(owner="fleet", period="day", limit_usd=CENT)])
    submit(ledger, count=3)
    spend(ledger, CENT, queue="interactive")
    text = "\n".join(drawn(FleetWatch(ledger).look(), Screen(120, 24)))
    assert "of $0.010000 (100%: closed)" in text
    assert "the day's budget of fleet is closed" in text
    assert "3 held by budgets" in text


def test_figures_that_are_not_of_now_are_said_to_be_old(client):
    view = replace(busy(client), at_s=time.time() - 90)
    assert "Redis is away" in drawn(view, Screen(80, 24), trouble="Redis is away; 90 s old")[5]


def test_a_trend_has_a_bar_a_value_and_a_gap_where_nobody_looked():
    assert sparkline([0, 1, 2, None, 4]) == "▁▃▅ █"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0, "0 ms"), (0.0494, "49 ms"), (1, "1.0 s"), (99, "99 s"), (100, "1.7 min")),
        *((3599, "60 min"), (3600, "1.0 h"), (86_400 * 3, "3 d")),
    ],
)
def test_durations_are_short(value, text):
    assert seconds(value) == text


def test_a_name_of_any_language_stays():
    assert plain("Ünïcode 東京 🌇 a\\b") == "Ünïcode 東京 🌇 a\\b"
