"""The sums of what was spent, in a real Valkey: charged, read, folded, kept and exported."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
import redis
from pyarrow import parquet

from pixfleet.config import keys
from pixfleet.config.prices import from_nano, load_prices
from pixfleet.config.queue_settings import QueueSettings
from pixfleet.config.results import Manifest, Receipt, StageUse
from pixfleet.config.settings import Settings
from pixfleet.producer import ImageJob, Producer
from pixfleet.producer.client import registration
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.fleet.jobs import JobLedger
from pixfleet.workers.fleet.sweeper import Sweeper
from pixfleet.workers.spend import book as book_module
from pixfleet.workers.spend.book import SpendBook
from pixfleet.workers.spend.export import ExportError, write_entries
from pixfleet.workers.spend.machine import Machine
from pixfleet.workers.spend.statement import make_statement

MACHINE = Machine(load_prices("aws-us-east-1").rates(), 1)
LINES = ("encode", "fetch", "rework", "s3_put", "#images", "#cpu_ms", "#machine_nano")


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connection:
        yield connection


@pytest.fixture
def book(valkey):
    return SpendBook(Producer(valkey.url).ledger)


def make(url: str) -> JobLedger:
    options = {"lease_s": 30.0, "max_attempts": 3, "ttl_s": 600, "machine": MACHINE}
    return JobLedger(redis.Redis.from_url(url), QueueSettings(), None, **options)


def end_job(ledger: JobLedger, *, encode: str, s3_put: str = "0", **job: str) -> None:
    """A job that was claimed ends with a receipt of two lines."""
    registered = registration(ImageJob(source="/a.jpg", output="/out", **job))
    ledger.register([registered])
    claim = ledger.claim(registered.id)
    cpu_usd, put_usd = Decimal(encode), Decimal(s3_put)
    receipt = Receipt(
        stages=(StageUse(stage="encode", cpu_s=0.5, wall_s=0.6, gb_s=0.1, cost_usd=cpu_usd),),
        cpu_s=0.5,
        lines_usd={"cpu": cpu_usd, "s3_put": put_usd},
        cost_usd=cpu_usd + put_usd,
    )
    manifest = Manifest(
        job_id=registered.id,
        source="/a.jpg",
        output="/out",
        recipe=str(job.get("recipe", "web")),
        tenant=job.get("tenant", "default"),
        status="done",
        attempts=1,
        worker="w",
        finished_at=dt.datetime.now(dt.UTC),
        receipt=receipt,
    )
    assert ledger.complete(manifest, claim.fence).accepted


def say(ledger: JobLedger, process: str, **totals: int) -> None:
    """A worker's word of its machine's time, by the script that workers use."""
    script = ledger.scripts.load("pixfleet.producer", "account")
    ledger.scripts.ask(script, process, *(part for pair in totals.items() for part in pair))


def plant(client, start: dt.datetime, fields: dict[str, int]) -> None:
    """An hour of long ago."""
    name = f"{start:%Y-%m-%dT%H}"
    client.hset(keys.SPENT + name, mapping=fields)
    client.zadd(keys.SPENT_LIST, {name: start.timestamp()})


def ago(days: float) -> dt.datetime:
    now = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    return now.replace(minute=0, second=0, microsecond=0)


def random_hours(client, hours: int, newest_days: float) -> None:
    chance = random.Random(5)
    for hour in range(hours):
        fields = {
            f"{tenant}|{recipe}|{line}": chance.randrange(1, 10**17)
            for tenant in ("shop", "press")
            for recipe in ("web", "archive")
            for line in LINES
            if chance.random() < 0.8
        }
        fields["||capacity"] = chance.randrange(1, 10**12)
        plant(client, ago(newest_days) - dt.timedelta(hours=hour), fields)


def sums(entries) -> Counter:
    return sum_by(entries, lambda e: (e.tenant, e.recipe, e.line))


def sum_by(entries, key) -> Counter:
    found = Counter()
    for entry in entries:
        found[key(entry)] += entry.amount
    return found


def fold(book, *kept: float) -> int:
    steps = 0
    while book.compact(*kept):
        steps += 1
    return steps


def test_receipts_work_in_vain_and_the_machines_words_make_a_bill_that_adds_up(valkey, book):
    ledger = make(valkey.redis_url)
    end_job(ledger, tenant="shop", encode="0.000003", s3_put="0.000005")
    end_job(ledger, tenant="shop", encode="0.000000001")
    end_job(ledger, tenant="press", recipe="archive", encode="12345.678901234")
    say(ledger, "host:1", capacity=20_000_000_000_000, tree=13_000_000_000_000, sqs_request=400)
    say(ledger, "host:1", capacity=20_000_000_000_000, tree=13_000_000_000_000, sqs_request=400)
    say(ledger, "host:2", capacity=7, tree=3)
    say(ledger, "host:2", capacity=9, tree=4)

    statement = make_statement(book.entries(), "tenant")

    bill = statement.bill
    assert bill.jobs == 3_000 + 1 + 12_345_678_901_234
    assert bill.machines == 20_000_000_000_009
    assert bill.idle == 20_000_000_000_009 - 13_000_000_000_004
    assert bill.jobs + bill.rework + bill.retry + bill.overhead + bill.idle == bill.machines
    assert bill.requests == 5_000 + 400
    assert [(s.name, s.nano_usd, s.counts["images"]) for s in statement.shares] == [
        ("press", 12_345_678_901_234, 1),
        ("shop", 8_001, 2),
        ("(fleet)", 400, 0),
    ]
    assert statement.counts["cpu_ms"] == 1_500


def test_an_attempt_that_was_lost_or_put_off_is_a_line_of_its_tenant(valkey, book, client):
    ledger = make(valkey.redis_url)
    lost, put_off = (
        registration(ImageJob(source="/a.jpg", output="/out", tenant="shop")) for _ in "ab"
    )
    ledger.register([lost, put_off])
    ledger.claim(lost.id)
    client.hset(keys.JOB + lost.id, "began", time.time() - 2)
    client.hset(keys.JOB + lost.id, "lease_until", time.time() - 1)
    assert ledger.claim(lost.id).outcome == "run"
    claim = ledger.claim(put_off.id)
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    ledger.delay(put_off.id, claim.fence, 1, "the store is away")

    bill = make_statement(book.entries(), tenant="shop").bill

    assert bill.rework == pytest.approx(MACHINE.cores_nano(2e9), rel=0.2)
    assert bill.retry == pytest.approx(MACHINE.cores_nano(0.05e9), rel=0.5)
    assert bill.total == bill.rework + bill.retry


def test_old_hours_become_days_and_old_days_months_without_the_loss_of_a_nano_dollar(book, client):
    random_hours(client, 60, newest_days=36)
    random_hours(client, 30, newest_days=430)
    plant(client, ago(3), {"shop|web|encode": 10**15 + 1})
    before = book.entries()

    fold(book, 35, 400)

    after = book.entries()
    assert sums(after) == sums(before)
    assert sum_by(after, lambda e: e.bucket[:7]) == sum_by(before, lambda e: e.bucket[:7])
    recent = [e for e in after if e.start > ago(100)]
    assert sum_by(recent, lambda e: e.bucket[:10]) == sum_by(
        (e for e in before if e.start > ago(100)), lambda e: e.bucket[:10]
    )
    assert Counter(len(bucket) for bucket in {e.bucket for e in after}) == {
        len("2026-11-25T08"): 1,
        len("2026-11-25"): len({e.bucket[:10] for e in recent}) - 1,
        len("2026-11"): len({e.bucket[:7] for e in before if e.start < ago(400)}),
    }
    for entry in after:
        assert entry.start.isoformat().startswith(entry.bucket)
        assert entry.start == entry.start.replace(
            day=1 if len(entry.bucket) == 7 else entry.start.day,
            hour=entry.start.hour if len(entry.bucket) == 13 else 0,
        )
    assert len(client.keys(f"{keys.SPENT}20*")) == len({e.bucket for e in after})


def test_the_fleet_folds_by_itself_what_is_older_than_its_settings_say(
    valkey, book, client, monkeypatch
):
    monkeypatch.delenv("PIXFLEET_LEDGER", raising=False)
    monkeypatch.setenv("PIXFLEET_SPEND_HOURS_KEPT_DAYS", "3")
    client.set(keys.TIDIED, "test")
    plant(client, ago(5), {"shop|web|encode": 5})
    plant(client, ago(1), {"shop|web|encode": 7})

    Sweeper(Settings.load().with_broker(valkey.url), "test").sweep()

    assert [len(e.bucket) for e in book.entries()] == [len("2026-11-25"), len("2026-11-25T08")]
    assert sums(book.entries()) == {("shop", "web", "encode"): 12}


def test_what_was_spent_late_in_a_day_that_is_folded_already_comes_to_it(book, client):
    hour = ago(40)
    plant(client, hour, {"shop|web|encode": 5})
    fold(book, 35, 400)
    plant(client, hour, {"shop|web|encode": 7, "shop|web|#images": 1})

    fold(book, 35, 400)

    assert sums(book.entries()) == {("shop", "web", "encode"): 12, ("shop", "web", "#images"): 1}
    assert {e.bucket for e in book.entries()} == {f"{hour:%Y-%m-%d}"}


def test_one_step_of_folding_is_bounded_and_the_next_goes_on(book, client, monkeypatch):
    monkeypatch.setattr(book_module, "_FOLDED", 50)
    random_hours(client, 20, newest_days=36)

    assert fold(book, 35, 400) >= 8
    assert all(len(e.bucket) == len("2026-11-25") for e in book.entries())


def test_a_look_while_hours_are_folded_sees_every_sum_once(book, client, monkeypatch):
    monkeypatch.setattr(book_module, "_FOLDED", 1)
    monkeypatch.setattr(book_module, "_PAGE", 3)
    random_hours(client, 72, newest_days=36)
    expected = sums(book.entries())
    steps: list[int] = []

    def go_on() -> None:
        while book.compact(35, 400):
            steps.append(1)
            time.sleep(0.012)

    folding = threading.Thread(target=go_on)
    folding.start()
    looks = 0
    while folding.is_alive():
        assert sums(book.entries()) == expected
        looks += 1
    folding.join()

    assert len(steps) == 72
    assert looks >= 5


def test_a_time_takes_in_every_hour_day_and_month_that_it_has_a_part_in(book, client):
    for start, length in (("2025-03-01", 7), ("2026-10-01", 10), ("2026-11-24T08", 13)):
        at = dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC)
        client.hset(keys.SPENT + start[:length], "shop|web|encode", length)
        client.zadd(keys.SPENT_LIST, {start[:length]: at.timestamp()})

    def there(since: str, until: str) -> list[str]:
        span = (dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC) for at in (since, until))
        return [e.bucket for e in book.entries(*span)]

    assert there("2025-03-31T23", "2026-10-01") == ["2025-03"]
    assert there("2025-04-01", "2026-10-01T00:00:01") == ["2026-10-01"]
    assert there("2026-10-02", "2026-11-24T08") == []
    assert there("2026-11-24T08:59", "2026-11-25") == ["2026-11-24T08"]
    assert len(book.entries()) == 3


def test_the_name_of_a_recipe_that_is_none_may_hold_anything(valkey, book):
    end_job(make(valkey.redis_url), recipe="no|such|recipe", encode="0.000001")

    statement = make_statement(book.entries(), "recipe")

    assert [(s.name, s.nano_usd) for s in statement.shares] == [("no|such|recipe", 1_000)]


def test_history_outlives_a_broker_that_is_killed():
    folder = Path(tempfile.mkdtemp(prefix="pf-"))
    try:
        with EmbeddedBroker(folder) as broker:
            book = SpendBook(Producer(broker.url).ledger)
            with redis.Redis.from_url(broker.redis_url) as client:
                random_hours(client, 30, newest_days=36)
            fold(book, 35, 400)
            end_job(make(broker.redis_url), tenant="shop", encode="0.000003")
            before = book.entries()
            os.kill(broker.pid, signal.SIGKILL)
        with EmbeddedBroker(folder) as broker:
            assert SpendBook(Producer(broker.url).ledger).entries() == before
        assert sums(before)["shop", "web", "encode"] > 3_000
    finally:
        shutil.rmtree(folder)


def read_csv(file: Path) -> list[dict]:
    with file.open(newline="") as lines:
        return [
            {**row, "usd": row["usd"] or None, "count": int(row["count"]) if row["count"] else None}
            for row in csv.DictReader(lines)
        ]


def read_jsonl(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def read_parquet(file: Path) -> list[dict]:
    rows = parquet.read_table(file).to_pylist()
    return [{**row, "start": row["start"].isoformat(), "usd": row["usd"]} for row in rows]


@pytest.mark.parametrize(
    ("suffix", "read"), [("csv", read_csv), ("jsonl", read_jsonl), ("parquet", read_parquet)]
)
def test_an_exported_file_holds_every_sum_exactly(suffix, read, book, client, tmp_path):
    plant(
        client, ago(1), {"shop|web|encode": 12_345_678_901_234_567, "shop|web|#images": 2**53 + 1}
    )
    plant(client, ago(2), {"||capacity": 1, 'shop|=2+3, "x"|rework': 7})
    entries = book.entries()

    assert write_entries(entries, tmp_path / f"spend.{suffix}") == 4

    rows = read(tmp_path / f"spend.{suffix}")
    told = {
        (r["start"], r["bucket"], r["tenant"], r["recipe"], r["line"], r["count"]): r["usd"]
        for r in rows
    }
    assert len(rows) == 4
    for e in entries:
        counts = e.line.startswith("#")
        where = (e.start.isoformat(), e.bucket, e.tenant, e.recipe, e.line.removeprefix("#"))
        usd = told[*where, e.amount if counts else None]
        assert usd is None if counts else Decimal(usd) == from_nano(e.amount)
    assert [file.name for file in tmp_path.iterdir()] == [f"spend.{suffix}"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("spend.xlsx", r"name it \*\.csv, \*\.jsonl, \*\.parquet"), ("no/such.csv", "No such file")],
)
def test_a_file_that_cannot_be_written_says_why_and_leaves_nothing(name, reason, tmp_path):
    with pytest.raises(ExportError, match=reason):
        write_entries([], tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_parquet_without_pyarrow_says_what_to_install(light_env, tmp_path):
    script = (
        "from pathlib import Path\n"
        "from pixfleet.workers.spend.export import ExportError, write_entries\n"
        "try:\n    write_entries([], Path('spend.parquet'))\n"
        "except ExportError as error:\n    print(error)\n"
    )

    done = subprocess.run(
        [light_env, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert "pip install 'pixfleet[parquet]'" in done.stdout
    assert list(tmp_path.iterdir()) == []
