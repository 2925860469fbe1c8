"""``pixfleet spend`` from the outside: what a lead sees of a run, while it goes and afterwards."""

from __future__ import annotations

import csv
import json
from decimal import Decimal

import pytest
from PIL import Image

from pixfleet.producer import ImageJob, Recipe, VariantSpec

ONE = Recipe(name="one", variants=(VariantSpec(name="v", width=96, formats=("jpeg",)),))


@pytest.fixture
def pictures(tmp_path, samples):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("kodim23.png", "chelsea.png"):
        with Image.open(samples / name) as image:
            image.resize((240, 160)).save(folder / name)
    return folder


def document(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def usd(document: dict, *names: str) -> Decimal:
    return sum((Decimal(document["bill_usd"][name]) for name in names), Decimal(0))


def test_after_runs_have_ended_their_bill_adds_up_and_is_what_they_said(
    pictures, tmp_path, state, run_json, pixfleet
):
    _, first, _ = run_json(pictures, tmp_path / "one", "--tenant", "shop")
    _, second, _ = run_json(pictures, tmp_path / "two", "--tenant", "press")

    spent = document(pixfleet("spend", "--by", "tenant", "--json"))

    assert usd(spent, "jobs", "requests") == sum(Decimal(r["cost_usd"]) for r in (first, second))
    assert usd(spent, "jobs", "rework", "retry", "overhead", "idle") == usd(spent, "machines")
    assert usd(spent, "machines", "requests") == usd(spent, "total") > usd(spent, "jobs") > 0
    assert usd(spent, "overhead") > 0
    shares = {share["name"]: share for share in spent["shares"]}
    assert Decimal(shares["shop"]["usd"]) == Decimal(first["cost_usd"])
    assert Decimal(shares["press"]["usd"]) == Decimal(second["cost_usd"])
    assert shares["press"]["saved_nano_usd"] == int(Decimal(second["saved_usd"]) * 10**9)
    assert (spent["counts"]["images"], spent["counts"]["memo_hits"]) == (4, second["memo_hits"])

    (month,), stages = (
        document(pixfleet("spend", "--by", by, "--json"))["shares"] for by in ("month", "stage")
    )
    assert Decimal(month["usd"]) == usd(spent, "total")
    assert sum(Decimal(stage["usd"]) for stage in stages) == usd(
        spent, "jobs", "rework", "retry", "requests"
    )
    assert {"encode", "decode", "memo"} < {stage["name"] for stage in stages}

    table = pixfleet("spend", "--tenant", "shop", COLUMNS="140")
    assert "2 images, 0 of them failed" in table.stdout
    assert "idle" not in table.stdout.replace("without overhead and idle", "")
    whole = pixfleet("spend", COLUMNS="140").stdout
    assert "the memo spared" in whole
    assert f"{usd(spent, 'total'):.9f}" in whole

    there = pixfleet("spend", "--state", str(state), "--json", PIXFLEET_STATE=str(tmp_path / "no"))
    assert document(there)["bill_usd"] == spent["bill_usd"]

    file = tmp_path / "spend.csv"
    assert pixfleet("spend", "--export", str(file), "--tenant", "shop").returncode == 0
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["tenant"] for row in rows} == {"shop"}
    assert sum(Decimal(row["usd"]) for row in rows if row["usd"]) == Decimal(first["cost_usd"])


def test_a_running_fleet_is_looked_at_through_its_broker(fleet, pixfleet, tmp_path, samples):
    job = ImageJob(
        source=str(samples / "coffee.png"), output=str(tmp_path), recipe=ONE, tenant="live"
    )
    cost_usd = fleet.producer.submit(job).result(60).receipt.cost_usd

    spent = document(pixfleet("spend", "--tenant", "live", "--json", "--broker", fleet.url))

    assert usd(spent, "total") == cost_usd
    assert {"encode", "decode"} < {share["name"] for share in spent["shares"]}


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 0, "nothing was spent since"),
        (("--tenant", "nobody"), 2, "nothing was spent for the tenant 'nobody'; there is none"),
        (("--since", "yesterday"), 2, "is no time; write 24h, 7d, 2w"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), 2, "is not after 2026-11-02 00:00"),
        (("--export", "spend.xlsx"), 2, "name it *.csv, *.jsonl, *.parquet"),
        (("--broker", "redis://127.0.0.1:9"), 2, "127.0.0.1:9"),
    ],
    ids=["empty", "tenant", "time", "backwards", "export", "broker"],
)
def test_what_cannot_be_shown_is_said_with_what_to_do(options, code, said, pixfleet):
    done = pixfleet("spend", *options)

    assert done.returncode == code
    assert said in done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr
