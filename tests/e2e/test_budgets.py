"""A budget that closes while real workers are at work, and what a user sees of it."""

from __future__ import annotations

import json
import os
import signal
import time
from decimal import Decimal

import pytest
from PIL import Image

from pixfleet.config import keys
from pixfleet.config.budgets import Budget
from pixfleet.config.prices import from_nano
from pixfleet.config.settings import Settings
from pixfleet.producer import BudgetClosedError, ImageJob, Producer, Recipe, VariantSpec
from pixfleet.producer.queues import SqsQueues
from pixfleet.workers.fleet.process import WorkerProcess
from pixfleet.workers.spend.book import SpendBook
from pixfleet.workers.spend.budgets import BudgetBook
from tests.hostile import photo

from .spot_fleet import SpotFleet

SMALL = Recipe(
    name="small", variants=(VariantSpec(name="v", width=90, formats=("jpeg",)),), features=()
)
MOST_S = 5
"""From a crossing until nothing more begins."""


def eventually(question, timeout_s=30):
    """The first true answer."""
    deadline = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
    return answer


def spent_usd(ledger, tenant: str) -> Decimal:
    entries = SpendBook(ledger).entries()
    return from_nano(sum(e.amount for e in entries if e.tenant == tenant and e.line[0] != "#"))


def pictures(folder, count):
    folder.mkdir(exist_ok=True)
    for index in range(count):
        (folder / f"{index}.jpg").write_bytes(photo("JPEG", (120, 80 + index)))
    return folder


def test_a_budget_that_closes_stops_a_fleet_at_what_is_in_flight_and_loses_nothing(state):
    with SpotFleet(state, PIXFLEET_WORKER_LEASE_S="5") as fleet:
        worker = fleet.worker()
        ledger, book = fleet.producer.ledger, BudgetBook(fleet.producer.ledger)
        fleet.teach(seconds=0.2)
        each_usd = spent_usd(ledger, "default") / 2
        limit_usd = spent_usd(ledger, "default") + 3 * each_usd
        budget = Budget(
            owner="tenant:default",
            limit_usd=limit_usd,
            thrifty_at=None,
            essential_at=None,
            alert_at=(),
        )
        book.put([budget])

        handles = fleet.submit(40, seconds=0.2)
        eventually(lambda: book.standings()[0].rung == "closed")
        closed_at = book.standings()[0].since.timestamp()
        with pytest.raises(BudgetClosedError):
            fleet.submit(1, seconds=0.2)
        eventually(lambda: not fleet.redis.zcard(keys.RUNNING))

        done = [handle for handle in handles if handle.status().state == "done"]
        lives = {handle.id: ledger.attempts(handle.id)[-1] for handle in done}
        assert max(life.began for life in lives.values()) < closed_at + MOST_S
        in_flight = [one for one, life in lives.items() if life.began <= closed_at <= life.ended]
        receipts = [ledger.manifest(job_id).receipt.cost_usd for job_id in in_flight]
        assert spent_usd(ledger, "default") - limit_usd <= sum(receipts)
        left = [handle for handle in handles if handle not in done]
        assert len(left) >= 5

        other = ImageJob(
            source=str(state / "0.2.tif"), output=str(state / "o"), recipe=SMALL, tenant="other"
        )
        assert fleet.producer.submit(other).result(20).status == "done"
        # A machine that is lost meanwhile takes nothing with it.
        os.killpg(worker.pid, signal.SIGKILL)
        fleet.redis.delete(keys.SWEEPER)  # as it does after three looks
        fleet.worker()
        assert set(fleet.states(left)) <= {"held", "waiting"}

        book.put([budget.model_copy(update={"limit_usd": Decimal(1)})])
        raised_s = time.monotonic()
        eventually(lambda: fleet.redis.zcard(keys.RUNNING))
        assert time.monotonic() - raised_s < MOST_S
        manifests = [handle.result(30) for handle in handles]
        assert {(one.status, one.attempts) for one in manifests} == {("done", 1)}


def test_thrift_makes_less_with_less_effort_as_good_and_lets_interactive_jobs_alone_go_on(
    fleet, tmp_path, samples
):
    tenant, promised = "frugal", 70
    variants = (
        VariantSpec(name="main", width=400, formats=("avif", "webp")),
        VariantSpec(name="extra", width=300, formats=("jpeg",), optional=True),
    )
    recipe = Recipe(name="frugal", quality=promised, variants=variants)

    def submit(number, queue):
        source = tmp_path / f"{number}.png"
        with Image.open(samples / "coffee.png") as image:
            picture = image.convert("RGB")
        picture.putpixel((0, 0), (number, 0, 0))  # a picture that no memo knows
        picture.save(source, compress_level=1)
        job = ImageJob(
            source=str(source),
            output=str(tmp_path / "out"),
            recipe=recipe,
            tenant=tenant,
            queue=queue,
        )
        return fleet.producer.submit(job)

    book = BudgetBook(fleet.producer.ledger)
    warm, full = (submit(number, "interactive").result(60) for number in (1, 2))
    spent = spent_usd(fleet.producer.ledger, tenant)
    book.put([Budget(owner=f"tenant:{tenant}", limit_usd=spent / Decimal("0.92"), closed_at=None)])
    try:
        bulk = submit(3, "bulk")
        frugal = submit(4, "interactive").result(60)
        assert bulk.status().state == "waiting"
    finally:
        book.remove(f"tenant:{tenant}")

    assert [v.name for v in warm.variants] == ["main", "main", "extra"]
    assert (frugal.status, [v.name for v in frugal.variants]) == ("done", ["main", "main"])
    assert any("least effort" in note for note in frugal.notes)
    assert any("left out extra" in note for note in frugal.notes)
    assert all(v.reached and v.score > promised - 0.5 for v in frugal.variants)
    cpu_s = {
        number: sum(v.cpu_s for v in manifest.variants if v.name == "main")
        for number, manifest in enumerate((full, frugal))
    }
    assert cpu_s[1] < 0.9 * cpu_s[0]
    assert [v.name for v in bulk.result(60).variants] == ["main", "main", "extra"]


def test_a_run_whose_budget_closes_ends_with_what_is_done_and_goes_on_when_it_is_raised(
    pixfleet, tmp_path
):
    source, out = pictures(tmp_path / "in", 6), tmp_path / "out"
    run = ("run", source, "--out", out, "--recipe", "thumbnail", "--json")
    setting = ("budget", "set", "fleet", "--period", "day", "--no-idle")
    assert pixfleet(*setting, "--limit", "0.000002").returncode == 0

    stopped = pixfleet(*run)

    answer = json.loads(stopped.stdout)
    assert stopped.returncode == 3, stopped.stderr
    assert "the budget of fleet is closed" in stopped.stderr
    assert "the same command goes on" in answer["budget"]
    assert answer["done"] + answer["failed"] == 6
    assert 0 < answer["done"] < 6
    refused = pixfleet(*run)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "6 jobs were refused" in refused.stderr

    assert pixfleet(*setting, "--limit", "1").returncode == 0
    again = pixfleet(*run)
    assert again.returncode == 0
    whole = json.loads(again.stdout)
    assert (whole["done"], whole["failed"]) == (6, 0)
    assert whole["memo_hits"] >= answer["done"]


def test_jobs_of_a_fleet_on_sqs_are_held_and_sent_again_when_the_budget_opens(
    sqs,  # noqa: ARG001 (its environment is what counts)
    valkey,
    state,
):
    SqsQueues(Settings.load()).create()
    source = pictures(state / "in", 1) / "0.jpg"
    producer = Producer("sqs://", ledger=valkey.redis_url)
    producer.ledger.redis.set(keys.TIDIED, "test")
    book = BudgetBook(producer.ledger)
    job = ImageJob(source=str(source), output=str(state / "out"), recipe=SMALL, tenant="t")
    environment = {
        "PIXFLEET_LEDGER": valkey.redis_url,
        "PIXFLEET_STATE": str(state),
        "PIXFLEET_MEMO_ENABLED": "false",
    }
    redis, log = producer.ledger.redis, state / "worker.log"
    with WorkerProcess(redis, children=2, environment=environment, log=log) as worker:
        worker.wait_ready()
        producer.submit(job).result(30)
        handles = list(producer.submit_many([job] * 12))
        book.put(
            [
                Budget(
                    owner="tenant:t",
                    limit_usd=Decimal("0.000001"),
                    closed_at=0.001,
                    essential_at=None,
                    thrifty_at=None,
                )
            ]
        )
        with pytest.raises(BudgetClosedError):
            producer.submit(job)
        eventually(lambda: any(handle.status().state == "held" for handle in handles))
        eventually(lambda: all(h.status().state in ("held", "waiting", "done") for h in handles))
        book.remove("tenant:t")
        assert {handle.result(40).status for handle in handles} == {"done"}
