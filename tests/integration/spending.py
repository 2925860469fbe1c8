"""Money that jobs spend in tests: through the ledger's own moves, in amounts that are given."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

from pixfleet.config import keys
from pixfleet.config.prices import load_prices
from pixfleet.config.queue_settings import QueueSettings
from pixfleet.config.results import Failure, Manifest, Receipt, StageUse
from pixfleet.config.settings import Settings
from pixfleet.producer import ImageJob
from pixfleet.producer.admission import admit
from pixfleet.producer.client import registration
from pixfleet.workers.fleet.jobs import JobLedger
from pixfleet.workers.fleet.sweeper import Sweeper
from pixfleet.workers.spend.machine import Machine

CENT = Decimal("0.01")
_MACHINE = Machine(load_prices("aws-us-east-1").rates(), 1)


def ledger_of(client, **queues) -> JobLedger:
    options = {"lease_s": 30.0, "max_attempts": 3, "ttl_s": 600, "machine": _MACHINE}
    return JobLedger(client, QueueSettings(**queues), None, **options)


def sweeper_of(url: str) -> Sweeper:
    return Sweeper(Settings.load().with_broker(url), "test")


def a_job(**options):
    return registration(ImageJob(**{"source": "/a.jpg", "output": "/out", **options}))


def submit(ledger, count=1, **options) -> list[str]:
    """The ids of jobs that have to be admitted."""
    jobs = [a_job(**options) for _ in range(count)]
    _, refusal = admit(ledger, jobs, 0)
    assert refusal is None
    return [job.id for job in jobs]


def complete(ledger, job_id: str, fence: int, usd: Decimal) -> None:
    """A job that was begun ends, and has cost so much."""
    manifest = Manifest(
        job_id=job_id,
        source="/a.jpg",
        output="/out",
        recipe="web",
        tenant="default",
        status="done",
        attempts=1,
        worker="w",
        receipt=Receipt(lines_usd={"s3_put": usd}, cost_usd=usd),
        finished_at=dt.datetime.now(dt.UTC),
    )
    assert ledger.complete(manifest, fence).accepted


def end(ledger, job_id: str, usd: Decimal = Decimal(0)) -> None:
    """A job is begun and ends."""
    claim = ledger.claim(job_id)
    assert claim.outcome == "run"
    complete(ledger, job_id, claim.fence, usd)


def spend(ledger, usd: Decimal, **options) -> None:
    """One more job has cost so much."""
    (job_id,) = submit(ledger, **options)
    end(ledger, job_id, usd)


def finish(ledger, *, wall_s=0.1, codes=(), source="/a.jpg") -> str:
    """A job is begun and ends, after one stage; the answer is its id."""
    (job_id,) = submit(ledger, source=source)
    claim = ledger.claim(job_id)
    manifest = Manifest(
        job_id=job_id,
        source=source,
        output="/out",
        recipe="web",
        tenant="default",
        status="failed" if codes else "done",
        width=2000,
        height=1000,
        failures=tuple(Failure(code=code, message="m", hint="h") for code in codes),
        receipt=Receipt(stages=(StageUse(stage="decode", cpu_s=wall_s, wall_s=wall_s),)),
        finished_at=dt.datetime.now(dt.UTC),
    )
    assert ledger.complete(manifest, claim.fence).accepted
    return job_id


def happened(client, newest: int = 1000) -> list[tuple[str, str, str]]:
    """Owner, kind and what came of it, of events that nobody was told of, the oldest first."""
    found = [json.loads(row) for row in client.lrange(keys.ALERTS, -newest, -1)]
    return [(event["owner"], event["kind"], event["to"]) for event in found]
