"""The record that advice is drawn from, written by the real ledger and read from a real Valkey."""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal

import psutil
import pytest
import redis

from pixfleet.config import keys
from pixfleet.config.prices import load_prices
from pixfleet.config.queue_settings import QueueSettings
from pixfleet.config.results import (
    CandidateResult,
    LifetimeCost,
    Manifest,
    Receipt,
    StageUse,
    VariantResult,
)
from pixfleet.config.settings import Settings
from pixfleet.producer import ImageJob
from pixfleet.producer.client import registration
from pixfleet.workers.fleet.jobs import JobLedger
from pixfleet.workers.spend.account import Account
from pixfleet.workers.spend.advice.offers import measured_speeds
from pixfleet.workers.spend.advice.reading import read_record
from pixfleet.workers.spend.advice.record import HigherEffort, Tried
from pixfleet.workers.spend.advice.rules import advise
from pixfleet.workers.spend.machine import Machine

BOOK = load_prices("aws-us-east-1")
SPOT = Machine(BOOK.rates("c7i.large", "spot"), 2)


@pytest.fixture
def ledger(valkey):
    with redis.Redis.from_url(valkey.redis_url) as client:
        yield JobLedger(
            client, QueueSettings(), None, lease_s=30, max_attempts=3, ttl_s=600, machine=SPOT
        )


def read(ledger):
    now = dt.datetime.now(dt.UTC)
    since = (now - dt.timedelta(days=7)).replace(minute=0, second=0, microsecond=0)
    return read_record(ledger, Settings.load(), BOOK, since, now)


def end_job(ledger, *, machine="c7i.large spot", cpu_s=2.0, peak=500, fence=None, **fields):
    job = registration(ImageJob(source="/a.jpg", output="/out"))
    ledger.register([job])
    claim = ledger.claim(job.id)
    cost = Decimal("0.001")
    stage = StageUse(stage="encode", cpu_s=cpu_s, wall_s=2 * cpu_s, gb_s=1.0, cost_usd=cost)
    given = {"hits": 0, "status": "done", "variants": ()} | fields
    receipt = Receipt(
        stages=(stage,),
        cpu_s=cpu_s,
        peak_bytes=peak,
        lines_usd={"cpu": cost},
        cost_usd=cost,
        memo_hits=given["hits"],
        machine=machine,
    )
    manifest = Manifest(
        job_id=job.id,
        source="/a.jpg",
        output="/out",
        recipe="web",
        tenant="default",
        status=given["status"],
        width=1000,
        height=1000,
        variants=given["variants"],
        receipt=receipt,
        finished_at=dt.datetime.now(dt.UTC),
    )
    return ledger.complete(manifest, claim.fence if fence is None else fence)


def candidate(fmt, effort, size, cpu_s, verdict):
    return CandidateResult(
        format=fmt,
        effort=effort,
        quality=50,
        bytes=size,
        score=75,
        cpu_s=cpu_s,
        lifetime_usd=None,
        verdict=verdict,
    )


def variant() -> VariantResult:
    zero, life = Decimal(0), Decimal("0.0008")
    cost = LifetimeCost(
        retention_months=1,
        views=1,
        compute_usd=zero,
        requests_usd=zero,
        storage_usd=life / 4,
        egress_usd=life * 3 / 4,
        total_usd=life,
    )
    return VariantResult(
        name="v",
        path="a/v.avif",
        format="avif",
        width=10,
        height=10,
        bytes=800,
        quality=50,
        sha256="0",
        metric="ssimulacra2",
        target=75,
        score=75,
        reached=True,
        probes=3,
        encoder="x",
        cpu_s=1.0,
        lifetime=cost,
        candidates=(
            candidate("avif", "speed 8", 800, 0.5, "chosen"),
            candidate("avif", "speed 9", 1000, 0.2, "beaten"),
            candidate("avif", "speed 6", 780, 0.75, "not tried"),
            candidate("webp", "method 2", 1200, 0.1, "beaten"),
        ),
    )


def test_images_made_afresh_teach_what_they_took_on_each_kind_of_machine(ledger):
    for peak in (300, 900, 500):
        assert end_job(ledger, peak=peak).accepted
    end_job(ledger, machine="c7g.large on_demand", cpu_s=1.0)
    end_job(ledger, hits=1)
    end_job(ledger, status="failed")
    end_job(ledger, machine="c7i.large spot, c7g.large spot")  # whose parts two kinds made

    by_machine = {made.machine: made for made in read(ledger).made}

    assert set(by_machine) == {"c7i.large", "c7g.large"}
    here = by_machine["c7i.large"]
    assert (here.images, here.pixels, here.cpu_s, here.peak_bytes) == (3, 3 * 10**6, 6.0, 900)
    assert by_machine["c7g.large"].cpu_s == 1.0


def test_a_result_that_is_refused_teaches_nothing(ledger):
    assert not end_job(ledger, fence=99).accepted

    assert read(ledger).made == ()


def test_what_failed_is_charged_as_failed_and_adds_to_the_record(ledger):
    end_job(ledger, status="failed")
    end_job(ledger)

    record = read(ledger)

    assert (record.images, record.count("failed"), record.count("failed_nano")) == (2, 1, 10**6)
    assert record.stages_usd == Decimal("0.002")


def test_searches_teach_what_lost_and_what_higher_efforts_spared(ledger):
    end_job(ledger, variants=(variant(),))

    record = read(ledger)

    assert record.tried == (
        Tried("web", "avif", files=1, cpu_s=0.7, lost_s=0.0),
        Tried("web", "webp", files=0, cpu_s=0.1, lost_s=0.1),
    )
    # speed 8 took 200 of 800 bytes less than the least effort
    assert record.higher_effort == (HigherEffort("web", 0.5, Decimal("0.0002")),)


def test_workers_say_how_long_their_machine_and_children_ran(ledger, valkey):
    settings = Settings.load().with_broker(valkey.url)
    for children in (2, 3):  # two workers
        account = Account(settings, SPOT, children, time.monotonic_ns() - 1_800 * 10**9)
        account.say()
        account.say()

    record = read(ledger)

    assert record.machine == "c7i.large spot"
    ran = record.ran[record.machine]
    assert ran.vcpu_s == pytest.approx(2 * 2 * 1_800, rel=0.01)
    assert ran.child_s == pytest.approx(5 * 1_800, rel=0.01)
    own = sum(psutil.Process().cpu_times()[:4])
    assert 0 < ran.tree_s <= 2 * own + 60  # of this very process and its children, said twice
    assert record.machines_usd == pytest.approx(Decimal("0.0363"), rel=Decimal("0.01"))


def test_the_record_of_a_fleet_expires(ledger):
    end_job(ledger)
    (name,) = ledger.redis.keys(f"{keys.EXPERIENCE}*")
    assert 399 * 86_400 < ledger.redis.ttl(name) <= 400 * 86_400


def test_a_faster_machine_is_found_and_advised(ledger, valkey):
    for _ in range(30):
        end_job(ledger, cpu_s=2.0)
        end_job(ledger, machine="c6i.large spot", cpu_s=1.0)
    settings = Settings.load().with_broker(valkey.url)
    Account(settings, SPOT, 2, time.monotonic_ns() - 600 * 10**9).say()

    record = read(ledger)

    assert measured_speeds(record) == {"c7i.large": 1.0, "c6i.large": 2.0}
    first = next(advice for advice in advise(record) if advice.topic == "machine")
    assert first.verdict == "gain"
    assert first.what == "use c6i.large spot instead of c7i.large spot"
    share = 1 - Decimal("0.0379") / 2 / Decimal("0.0363")
    assert first.saves_usd == pytest.approx(record.machines_usd * record.months * share)
