"""The way of a job: spans of stages in receipts, and the timeline that comes of them."""

from __future__ import annotations

import datetime as dt
import time
import zlib

import pytest
from rich.console import Console

from pixfleet.config.prices import load_prices
from pixfleet.config.results import Manifest, Receipt, StageSpan
from pixfleet.producer.ledger import Attempt, JobStatus
from pixfleet.producer.timeline import drawn, timeline
from pixfleet.workers.spend.meter import Meter, merge
from pixfleet.workers.spend.passage import MOST_SPANS

PRICES = load_prices("aws-us-east-1")


def meter(worker: str = "") -> Meter:
    return Meter(PRICES, PRICES.rates(), worker)


def spans(*stages: tuple[str, float, float], began_at: float, worker: str = "") -> Receipt:
    rows = tuple(
        StageSpan(stage=name, began_s=began_s, wall_s=wall_s, cpu_s=0.0, worker=worker)
        for name, began_s, wall_s in stages
    )
    return Receipt(began_at=began_at, spans=rows)


def manifest(receipt: Receipt) -> Manifest:
    return Manifest(
        job_id="j",
        source="s",
        output="o",
        recipe="r",
        tenant="t",
        status="done",
        receipt=receipt,
        worker="host:1",
        finished_at=dt.datetime.now(dt.UTC),
    )


def status(**fields) -> JobStatus:
    known = {
        "id": "j",
        "state": "done",
        "tenant": "t",
        "recipe": "r",
        "source": "s",
        "attempts": 1,
        "submitted_at": 100.0,
        "ended_at": 110.0,
        "worker": "host:1",
        "queue": "bulk",
        "batch": "",
        "began_at": 102.0,
        "why": "",
        "held_by": "",
    }
    return JobStatus(**{**known, **fields})


def test_a_receipt_keeps_when_each_stage_began_on_what_and_what_lies_inside():
    before = time.time()
    counted = meter("host:2")
    with counted.stage("encode", "w640") as outer:
        time.sleep(0.02)
        with counted.stage("encode", "w640.jpg"):
            time.sleep(0.02)
        outer.bytes = 700
    whole, inner = counted.receipt().spans
    assert (whole.stage, whole.detail, whole.bytes, whole.worker) == (
        "encode",
        "w640",
        700,
        "host:2",
    )
    assert before - 0.01 <= counted.receipt().began_at <= time.time()
    assert whole.began_s == 0
    assert inner.began_s >= 0.02
    assert inner.began_s + inner.wall_s <= whole.wall_s + 0.001
    assert sum(s.wall_s for s in counted.receipt().stages) == pytest.approx(whole.wall_s, abs=1e-3)


def test_a_stage_that_raises_is_on_the_way_all_the_same():
    counted = meter()
    with pytest.raises(RuntimeError), counted.stage("decode"):
        raise RuntimeError
    assert [span.stage for span in counted.receipt().spans] == ["decode"]


def test_receipts_of_several_machines_have_one_beginning_and_one_order():
    first = spans(("fetch", 0, 1), ("store", 4, 1), began_at=1000.0)
    member = spans(("encode", 0, 2), began_at=1003.5, worker="other:2")
    merged = merge([first, member, Receipt()])
    assert merged.began_at == 1000.0
    assert [(s.stage, s.began_s, s.worker) for s in merged.spans] == [
        ("fetch", 0, ""),
        ("encode", 3.5, "other:2"),
        ("store", 4, ""),
    ]


def test_of_too_many_spans_the_longest_are_kept():
    counted = meter()
    for place in range(MOST_SPANS + 50):
        with counted.stage("memo", f"v{place}"):
            pass
        if place == 10:
            with counted.stage("encode"):
                time.sleep(0.01)
    kept = counted.receipt().spans
    assert len(kept) == MOST_SPANS
    assert "encode" in {span.stage for span in kept}
    assert [span.began_s for span in kept] == sorted(span.began_s for span in kept)


def test_manifests_from_before_there_were_spans_are_read():
    old = manifest(Receipt()).model_dump(mode="json")
    del old["receipt"]["spans"], old["receipt"]["began_at"]
    assert Manifest.model_validate(old).receipt.spans == ()


def test_twenty_spans_add_less_than_600_bytes_to_a_manifest_in_redis():
    counted = meter()
    for place in range(20):
        with counted.stage("encode", f"w{place * 160}.avif") as passage:
            passage.bytes = 12_345 + place * 997
            time.sleep(0.0011 * (place % 3))
    with_spans = manifest(counted.receipt())
    without = manifest(counted.receipt().model_copy(update={"spans": ()}))
    with_, bare = (len(zlib.compress(m.model_dump_json().encode())) for m in (with_spans, without))
    assert with_ - bare < 600


def test_the_timeline_is_waits_attempts_and_the_stages_of_the_one_that_ended_the_job():
    lost = Attempt(1, "host:9", 102.0, 103.0, "lost", "its process died")
    done = Attempt(2, "host:1", 104.0, 108.0, "done", "")
    receipt = merge(
        [
            spans(("decode", 0, 0.5), began_at=104.1),
            spans(("encode", 0, 3), ("encode", 0.5, 1), began_at=104.8, worker="host:2"),
        ]
    )
    rows = timeline(status(attempts=2), [lost, done], manifest(receipt), now=200)
    assert [(r.kind, r.name, round(r.began, 1), round(r.lasted_s, 1), r.depth) for r in rows] == [
        ("wait", "wait", 100.0, 2.0, 0),
        ("attempt", "lost", 102.0, 1.0, 0),
        ("wait", "wait", 103.0, 1.0, 0),
        ("attempt", "done", 104.0, 4.0, 0),
        ("stage", "decode", 104.1, 0.5, 0),
        ("stage", "encode", 104.8, 3.0, 0),
        ("stage", "encode", 105.3, 1.0, 1),
    ]
    assert [row.worker for row in rows[4:]] == ["host:1", "host:2", "host:2"]
    console = Console(width=80, color_system=None)
    with console.capture() as shown:
        console.print(drawn(rows), soft_wrap=True)
    text = shown.get()
    assert "on host:9: its process died" in text
    assert text.count("on host:2") == 1
    (bar,) = [line for line in text.splitlines() if "decode" in line]
    assert "━" in bar
    assert "0.500 s" in bar


@pytest.mark.parametrize(
    ("fields", "last"),
    [
        pytest.param({"state": "queued", "ended_at": None}, ("wait", "wait", 100.0), id="waits"),
        pytest.param(
            {"state": "running", "ended_at": None}, ("attempt", "running", 98.0), id="runs"
        ),
    ],
)
def test_what_goes_on_lasts_until_now(fields, last):
    row = timeline(status(**fields), [], None, now=200)[-1]
    assert (row.kind, row.name, row.lasted_s) == last
