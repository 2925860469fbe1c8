"""What an operator sees and does: jobs, job, retry, cancel, purge."""

from __future__ import annotations

import json

from pixfleet.producer import ImageJob, Producer, Recipe, VariantSpec
from tests.hostile import photo

ONE = Recipe(name="one", variants=(VariantSpec(name="v", width=96, formats=("jpeg",)),))


def read(done):
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_a_failed_job_is_listed_explained_mended_and_retried(fleet, pixfleet, tmp_path):
    source = tmp_path / "late.jpg"
    source.write_bytes(b"not yet an image")
    job = ImageJob(source=str(source), output=str(tmp_path / "out"), recipe=ONE, tenant="mend")
    handle = fleet.producer.submit(job)
    assert handle.result(60).status == "failed"

    listed = pixfleet("jobs", "--state", "failed", "--tenant", "mend", "--broker", fleet.url)
    assert handle.id in listed.stdout
    assert "unsupported_format" in listed.stdout
    shown = pixfleet("job", handle.id, "--broker", fleet.url)
    assert "failed" in shown.stdout
    assert "unsupported_format" in shown.stderr

    source.write_bytes(photo("JPEG", (200, 150)))
    again = pixfleet("retry", "--all-failed", "--tenant", "mend", "--json", "--broker", fleet.url)
    assert read(again) == {"queued": [handle.id], "left": []}
    assert handle.result(60).status == "done"
    told = read(pixfleet("job", handle.id, "--json", "--broker", fleet.url))
    assert [attempt["how"] for attempt in told["attempts_over"]] == ["failed", "done"]
    way = [(row["kind"], row["name"]) for row in told["timeline"]]
    assert way[:4] == [
        ("wait", "wait"),
        ("attempt", "failed"),
        ("wait", "wait"),
        ("attempt", "done"),
    ]
    assert {("stage", "decode"), ("stage", "encode"), ("stage", "store")} <= set(way[4:])
    drawn = pixfleet("job", handle.id, "--broker", fleet.url).stdout
    assert "encode v.jpg" in drawn
    assert pixfleet("retry", handle.id, "--broker", fleet.url).returncode == 1


def test_what_waits_is_cancelled_by_job_by_batch_and_by_tenant(valkey, pixfleet, monkeypatch):
    monkeypatch.delenv("PIXFLEET_LEDGER", raising=False)
    producer = Producer(valkey.url)
    job = ImageJob(source="/a.jpg", output="/out", tenant="t1")
    single = producer.submit(job)
    batch = [job.model_copy(update={"batch": "b-7"})] * 3
    list(producer.submit_many(batch))
    list(producer.submit_many([job.model_copy(update={"tenant": "t2"})] * 4))
    at = ("--json", "--broker", valkey.url)

    assert read(pixfleet("jobs", *at))["numbers"]["queued"] == 8
    assert single.cancel()
    assert read(pixfleet("cancel", "b-7", *at)) == {"cancelled": 3}
    assert pixfleet("cancel", "b-8", *at).returncode == 2
    asked = pixfleet("purge", "--tenant", "t2", *at)
    assert (asked.returncode, "--yes" in asked.stderr) == (2, True)
    assert read(pixfleet("purge", "--tenant", "t2", "--yes", *at)) == {"cancelled": 4}
    assert producer.ledger.redis.llen("encode") == 8


def test_a_cancelled_batch_ends_with_a_summary_that_says_so(fleet, pixfleet, tmp_path):
    job = ImageJob(source="/a.jpg", output=str(tmp_path / "out"), recipe=ONE, batch="b-cancelled")
    fleet.producer.ledger.cancel_batch("b-cancelled")
    handle = fleet.producer.submit(job)
    fleet.producer.close_batch("b-cancelled", output=str(tmp_path / "out"))

    manifest = handle.result(60)

    assert [failure.code for failure in manifest.failures] == ["cancelled"]
    assert handle.status().state == "cancelled"
    waited = pixfleet("wait", "b-cancelled", "--json", "--broker", fleet.url)
    assert read(waited)["failed"] == 1
    assert (tmp_path / "out" / "manifest.jsonl").exists()
    assert pixfleet("retry", handle.id, "--broker", fleet.url).returncode == 0
    assert handle.result(60).failures[0].code == "source_not_found"
