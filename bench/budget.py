"""A fleet under load passes a tenant's budget: what happens when, and how far beyond it goes.

    python bench/budget.py [--runs 3] [--jobs 80] [--json FILE] [--publish]

A real fleet of four children. Tenant ``shop`` keeps 16 bulk jobs and three interactive ones before
it and tries again while it is refused, tenant ``news`` keeps four bulk ones and has no budget.
After a warm-up shop's limit is set so that about ``--jobs`` more jobs reach it; some seconds after
it has closed it is raised, and everything that was accepted is awaited. Times of begins and of
crossings are the ledger's.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from budgets.load import Kind, Load
from charts.timeline import Line, Moment, timeline_chart
from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.config.prices import from_nano
from pixfleet.producer import Producer
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.fleet.process import WorkerProcess
from pixfleet.workers.monitor.collect import FleetReader
from pixfleet.workers.spend.alert_log import AlertLog
from pixfleet.workers.spend.budgets import BudgetBook
from publication import image, publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from pixfleet.producer import JobHandle

SOURCE: Final = Path(__file__).parents[1] / "samples" / "coffee.png"
SHARES: Final = {"thrifty": 0.6, "essential": 0.8, "closed": 1.0}
CHILDREN, WARM_JOBS, CLOSED_S, SAMPLE_S, GOAL_S = 4, 20, 5.0, 0.5, 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The fleet at one moment, in seconds since the budget was set."""

    at_s: float
    shop_usd: Decimal
    news_usd: Decimal
    running: int
    held: int


@dataclass
class Timeline:
    """One run; times in seconds since the budget was set, money in US dollars."""

    limit_usd: Decimal = Decimal(0)
    samples: list[Sample] = field(default_factory=list)
    crossings: dict[str, float] = field(default_factory=dict)
    last_begun: dict[str, float] = field(default_factory=dict)
    """s from a crossing to the last begin of a job that its rung does not let begin as it was"""
    refused_s: float = 0
    """from the crossing to the first refusal"""
    in_flight: int = 0
    in_flight_usd: Decimal = Decimal(0)
    overshoot_usd: Decimal = Decimal(0)
    told: int = 0
    """events: an alert at half of the limit, three rungs, and that it is open again"""
    raised_s: float = 0
    reopened_s: float = 0
    """from the raise to the first begin"""
    accepted: int = 0
    done: int = 0
    other_done: int = 0
    """jobs of news that ended while shop's budget was closed"""


def spent(producer: Producer, tenant: str) -> Decimal:
    """What the tenant has spent in the period of the budgets."""
    month = time.strftime("month:%Y-%m", time.gmtime())
    found = producer.ledger.redis.hget(keys.OWNED + month, f"tenant:{tenant}")
    return from_nano(int(found or 0))


def once(jobs: int) -> Timeline:
    """One fleet from its start to its end."""
    with (
        tempfile.TemporaryDirectory(prefix="pf-") as folder,
        EmbeddedBroker(Path(folder)) as broker,
    ):
        state = Path(folder)
        with Image.open(SOURCE) as picture:
            picture.convert("RGB").save(state / "picture.png", compress_level=1)
        producer = Producer(broker.url)
        environment = {
            "PIXFLEET_BROKER": broker.url,
            "PIXFLEET_STATE": folder,
            "PIXFLEET_MEMO_ENABLED": "false",
        }
        redis, log = producer.ledger.redis, state / "worker.log"
        with WorkerProcess(redis, children=CHILDREN, environment=environment, log=log) as worker:
            worker.wait_ready()
            return _drive(producer, Load(producer, state / "picture.png", state / "out"), jobs)


def _drive(producer: Producer, load: Load, jobs: int) -> Timeline:
    book, run = BudgetBook(producer.ledger), Timeline()
    while load.ended("shop") < WARM_JOBS:
        load.top_up()
        time.sleep(0.05)
    before = spent(producer, "shop")
    run.limit_usd = before + before / WARM_JOBS * jobs
    thrifty, essential, closed = SHARES.values()
    budget = Budget(
        owner="tenant:shop",
        limit_usd=run.limit_usd,
        thrifty_at=thrifty,
        essential_at=essential,
        closed_at=closed,
        alert_at=(0.5,),
    )
    set_at = time.time()
    book.put([budget])
    at: dict[str, float] = {}

    def follow(over: Callable[[], bool], *, more: bool = True) -> None:
        """Look, and submit, until something is over."""
        looked = 0.0
        while not over():
            if more:
                load.top_up()
            if time.time() - looked >= SAMPLE_S:
                looked = time.time()
                run.samples.append(_sample(producer, looked - set_at))
            time.sleep(0.02)

    follow(lambda: _reached(book, at) == "closed")
    until = time.time() + CLOSED_S
    follow(lambda: time.time() > until)
    run.overshoot_usd = spent(producer, "shop") - run.limit_usd
    waiting = load.unfinished("shop")
    run.raised_s = time.time() - set_at
    book.put([budget.model_copy(update={"limit_usd": Decimal(1000)})])
    follow(lambda: not load.unfinished("shop", "news"), more=False)
    run.crossings = {rung: at[rung] - set_at for rung in SHARES}
    _judge(run, producer, load, set_at)
    run.told = len({told.id for told in AlertLog(producer.ledger.redis).told()})
    begun = [producer.ledger.attempts(one.id)[-1].began for one in waiting]
    run.reopened_s = min(begun) - set_at - run.raised_s
    return run


def _reached(book: BudgetBook, at: dict[str, float]) -> str:
    """The budget's rung now; when each was reached is written down."""
    (standing,) = book.standings()
    at.setdefault(standing.rung, standing.since.timestamp())
    return standing.rung


def _sample(producer: Producer, at_s: float) -> Sample:
    reading = FleetReader(producer.ledger.redis).read()
    shop_usd, news_usd = (spent(producer, tenant) for tenant in ("shop", "news"))
    return Sample(at_s, shop_usd, news_usd, reading.running, reading.held)


def _judge(run: Timeline, producer: Producer, load: Load, set_at: float) -> None:
    """What the ledger's records say of the run."""
    at = {rung: set_at + after_s for rung, after_s in run.crossings.items()}
    lives = [_life(producer, kind, one) for kind, some in load.handles.items() for one in some]
    run.accepted, run.done = len(lives), sum(life.done for life in lives)
    closed_at, raised_at = at["closed"], set_at + run.raised_s
    run.other_done = sum(
        life.tenant == "news" and closed_at < life.ended < raised_at for life in lives
    )
    shop = [life for life in lives if life.tenant == "shop" and life.began < raised_at]
    forbidden = {
        "thrifty": [life for life in shop if life.full],
        "essential": [life for life in shop if life.queue == "bulk"],
        "closed": shop,
    }
    for rung, some in forbidden.items():
        run.last_begun[rung] = max(life.began for life in some) - at[rung]
    flying = [life for life in shop if life.began <= closed_at <= life.ended]
    run.in_flight = len(flying)
    run.in_flight_usd = sum((life.cost_usd for life in flying), Decimal(0))
    run.refused_s = min(when for when in load.refused_at if when >= closed_at) - closed_at


@dataclass(frozen=True, slots=True)
class Life:
    """What became of one job."""

    tenant: str
    queue: str
    began: float
    ended: float
    full: bool
    """made with all effort"""
    done: bool
    cost_usd: Decimal


def _life(producer: Producer, kind: Kind, handle: JobHandle) -> Life:
    manifest, last = handle.result(), producer.ledger.attempts(handle.id)[-1]
    full = not any("asks for thrift" in note for note in manifest.notes)
    cost_usd, done = manifest.receipt.cost_usd, manifest.status == "done"
    tenant, queue = kind
    return Life(tenant, queue, last.began, last.ended, full, done, cost_usd)


def chart(run: Timeline) -> str:
    """The timeline of a run."""
    micro = Decimal(1_000_000)
    shop = [(one.at_s, float(one.shop_usd * micro)) for one in run.samples]
    news = [(one.at_s, float(one.news_usd * micro)) for one in run.samples]
    limit = float(run.limit_usd * micro)
    return timeline_chart(
        "Spend of a tenant under load against the rungs of its budget",
        [Line("shop", shop), Line("news, no budget", news, dashed=True)],
        [
            Line("jobs running", [(one.at_s, one.running) for one in run.samples]),
            Line("held back", [(one.at_s, one.held) for one in run.samples]),
        ],
        levels={rung: limit * share for rung, share in SHARES.items()},
        moments=[
            *(Moment(at, rung) for rung, at in run.crossings.items()),
            Moment(run.raised_s, "raised"),
        ],
        units=("micro-dollars", "jobs"),
    )


def table(runs: list[Timeline]) -> str:
    """A column for each run."""
    rows: dict[str, list[str]] = {}

    def row(name: str, figure: Callable[[Timeline], str]) -> None:
        rows[name] = [figure(run) for run in runs]

    row("limit, USD", lambda run: f"{run.limit_usd:.9f}")
    for rung in SHARES:
        row(f"{rung} after", lambda run, rung=rung: f"{run.crossings[rung]:.1f} s")
    row("last job of full effort begun after thrifty", lambda run: _after(run, "thrifty"))
    row("last bulk job begun after essential", lambda run: _after(run, "essential"))
    row("last job begun after closed", lambda run: _after(run, "closed"))
    row("first refusal after closed", lambda run: f"{1000 * run.refused_s:.0f} ms")
    row("in flight at the crossing, jobs", lambda run: str(run.in_flight))
    row("their receipts, USD", lambda run: f"{run.in_flight_usd:.9f}")
    row("**beyond the limit, USD**", lambda run: f"{run.overshoot_usd:.9f}")
    row("jobs of the other tenant done while closed", lambda run: str(run.other_done))
    row("first begin after the raise", lambda run: f"{run.reopened_s:.1f} s")
    row("done of accepted", lambda run: f"{run.done} of {run.accepted}")
    row("events told (an alert, three rungs, open again)", lambda run: str(run.told))
    numbers = [str(number + 1) for number in range(len(runs))]
    lines = [("run", numbers), ("---", ["--:"] * len(runs)), *rows.items()]
    return "\n".join(f"| {name} | {' | '.join(cells)} |" for name, cells in lines)


def _after(run: Timeline, rung: str) -> str:
    late_s = run.last_begun[rung]
    return "none" if late_s <= 0 else f"{1000 * late_s:.0f} ms"


def report(runs: list[Timeline]) -> str:
    """Markdown for the page."""
    acted_s = max(0.0, *(late_s for run in runs for late_s in run.last_begun.values()))
    within = "met" if acted_s < GOAL_S else "**missed**"
    bounded = all(run.overshoot_usd <= run.in_flight_usd for run in runs)
    at_most = "met" if bounded else "**missed**"
    goals = (
        f"Goals: a crossing acts within {GOAL_S:g} s ({within}: nothing that a rung forbids began "
        f"later than {acted_s:.1f} s after it), and beyond the limit is at most what was in flight "
        f"({at_most})."
    )
    drawing = image("bench-budget", "Spend against the rungs of a budget")
    return f"{table(runs)}\n\n{goals}\n\n{drawing}"


def main() -> None:
    parser = argparse.ArgumentParser(description="A budget that is passed under load.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=80)
    parser.add_argument("--json", type=Path, help="write the timelines there")
    parser.add_argument("--publish", action="store_true", help="into docs/benchmarks.md")
    asked = parser.parse_args()
    os.environ.pop("PIXFLEET_LEDGER", None)
    runs = [once(asked.jobs) for _ in range(asked.runs)]
    text = report(runs)
    if asked.json:
        documents: list[dict[str, Any]] = [asdict(run) for run in runs]
        asked.json.write_text(json.dumps(documents, indent=1, default=str))
    if asked.publish:
        publish("budget", text, {"bench-budget": chart(runs[0])})
    print(text)


if __name__ == "__main__":
    main()
