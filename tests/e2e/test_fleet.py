"""A running fleet, as an application that enqueues sees it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path

import psutil
import pytest
from celery import Celery
from PIL import Image

from pixfleet.config.contract import TASK_PREPARE
from pixfleet.producer import (
    ImageJob,
    LedgerUnavailableError,
    Producer,
    Recipe,
    ResultTimeoutError,
    UnknownJobError,
    VariantSpec,
)
from tests.hostile import photo

ONE = Recipe(name="one", variants=(VariantSpec(name="v", width=96, formats=("jpeg",)),))


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "picture.jpg"
    file.write_bytes(photo("JPEG", (200, 150), quality=60 + int(uuid.uuid4()) % 30))
    return file


def job(picture, out, **options) -> ImageJob:
    return ImageJob(**{"source": str(picture), "output": str(out), "recipe": ONE, **options})


def test_a_submitted_job_ends_with_its_variants_its_price_and_a_manifest_on_disk(
    fleet, picture, tmp_path
):
    handle = fleet.producer.submit(
        job(picture, tmp_path / "out", recipe="thumbnail", tenant="acme")
    )

    manifest = handle.result(timeout_s=60)

    assert manifest.status == "done"
    (variant,) = manifest.variants
    data = (tmp_path / "out" / variant.path).read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (variant.width, variant.height)
    assert manifest.receipt.cost_usd > 0
    assert manifest.receipt.cost_usd == sum(manifest.receipt.lines_usd.values())
    status = handle.status()
    assert (status.state, status.tenant, status.attempts) == ("done", "acme", 1)
    on_disk = json.loads((tmp_path / "out" / "picture.jpg" / "manifest.json").read_text())
    assert on_disk == manifest.model_dump(mode="json")


def test_the_same_idempotency_key_is_the_same_job(fleet, picture, tmp_path):
    first = fleet.producer.submit(job(picture, tmp_path / "a", idempotency_key="k1"))
    again = fleet.producer.submit(job(picture, tmp_path / "b", idempotency_key="k1"))
    other = fleet.producer.submit(job(picture, tmp_path / "b", idempotency_key="k1", tenant="x"))

    assert first.accepted
    assert not again.accepted
    assert again.id == first.id != other.id
    assert again.result(60).output == str(tmp_path / "a")
    other.result(60)


def test_interactive_work_on_a_large_image_fans_out_to_a_chord(fleet, tmp_path, samples):
    large = tmp_path / "large.png"
    with Image.open(samples / "kodim23.png") as image:
        image.resize((2600, 1733)).save(large, compress_level=1)
    wide = tuple(
        VariantSpec(name=f"w{width}", width=width, formats=("jpeg",)) for width in (2500, 2000, 100)
    )
    recipe = Recipe(name="wide", variants=wide, features=("phash",))

    manifest = fleet.producer.submit(
        job(large, tmp_path / "out", recipe=recipe, queue="interactive")
    ).result(120)

    assert manifest.status == "done", manifest.failures
    assert manifest.plan is not None
    assert (manifest.plan.execution, manifest.plan.members) == ("fanout", 2)
    assert [variant.name for variant in manifest.variants] == ["w2500", "w2000", "w100"]
    for variant in manifest.variants:
        with Image.open(tmp_path / "out" / variant.path) as image:
            assert image.width == variant.width
    stages = {stage.stage for stage in manifest.receipt.stages}
    assert {"fetch", "decode", "encode", "store"} <= stages
    work = fleet.state / "store" / "work" / manifest.job_id
    assert not [path for path in work.rglob("*") if path.is_file()]


def test_one_bad_variant_leaves_a_partial_manifest_that_says_so(fleet, tmp_path):
    long = tmp_path / "long.png"
    Image.new("RGB", (17_000, 8), "teal").save(long)
    specs = (VariantSpec(name="full", formats=("webp", "jpeg")),)

    manifest = fleet.producer.submit(
        job(long, tmp_path / "out", recipe=Recipe(name="r", variants=specs))
    ).result(60)

    assert manifest.status == "partial"
    assert [variant.format for variant in manifest.variants] == ["jpeg"]
    (failure,) = manifest.failures
    assert (failure.code, failure.variant) == ("format_side_limit", "full.webp")


def test_a_message_that_breaks_the_contract_ends_as_failed_with_path_and_reason(fleet):
    app = Celery(broker=fleet.url)
    message = {"source": "x.jpg", "output": "/tmp/o", "schema_version": 1, "recpie": "web"}

    sent = app.send_task(TASK_PREPARE, args=[message], queue="bulk", ignore_result=True)
    manifest = _eventually(fleet, sent.id)

    assert manifest.failures[0].code == "contract_invalid"
    assert "recpie" in manifest.failures[0].message
    newer = {"source": "x.jpg", "output": "/tmp/o", "schema_version": 99}
    sent = app.send_task(TASK_PREPARE, args=[newer], queue="bulk", ignore_result=True)
    assert "99" in _eventually(fleet, sent.id).failures[0].message


def test_a_foreign_celery_client_enqueues_without_pixfleet(fleet, picture, tmp_path):
    app = Celery(broker=fleet.url)
    message = {"source": str(picture), "output": str(tmp_path / "out"), "recipe": "thumbnail"}

    sent = app.send_task(TASK_PREPARE, args=[message], queue="interactive", ignore_result=True)

    assert _eventually(fleet, sent.id).status == "done"


def test_an_unknown_recipe_is_a_failure_that_says_how_to_mend_it(fleet, picture, tmp_path):
    manifest = fleet.producer.submit(job(picture, tmp_path / "o", recipe="wbe")).result(60)

    assert manifest.status == "failed"
    assert manifest.failures[0].code == "recipe_unknown"
    assert "web" in manifest.failures[0].message


def test_an_output_that_cannot_be_written_is_a_failure_and_the_worker_lives(
    fleet, picture, tmp_path
):
    (tmp_path / "file").write_text("not a folder")

    manifest = fleet.producer.submit(job(picture, tmp_path / "file" / "out")).result(60)

    assert manifest.status == "failed"
    assert manifest.failures[0].code.startswith("output_")
    assert fleet.producer.submit(job(picture, tmp_path / "out")).result(60).status == "done"


@pytest.mark.parametrize("name", ["../out.jpg", "/etc/out.jpg", "a/../../b.jpg"])
def test_a_name_that_leaves_the_output_is_refused_before_it_is_queued(picture, tmp_path, name):
    with pytest.raises(ValueError, match="relative path"):
        job(picture, tmp_path, name=name)


def test_a_job_whose_child_is_killed_runs_again_and_ends_once(fleet, tmp_path, samples):
    recipe = Recipe(
        name="slow",
        variants=(VariantSpec(name="v", width=1100, enlarge=True, formats=("avif",)),),
        objective="smallest",
    )
    handle = fleet.producer.submit(
        job(samples / "coffee.png", tmp_path / "out", recipe=recipe, tenant=uuid.uuid4().hex)
    )
    deadline = time.monotonic() + 30
    while handle.status().state != "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)

    victim = int(handle.status().worker.rpartition(":")[2])
    psutil.Process(victim).send_signal(signal.SIGKILL)

    manifest = handle.result(120)
    assert manifest.status == "done"
    assert manifest.attempts == 2
    assert not manifest.worker.endswith(f":{victim}")


def test_two_jobs_on_the_same_image_at_once_compute_it_once(fleet, tmp_path, samples):
    unique = Recipe(
        name="shared",
        quality=61,
        variants=(VariantSpec(name="v", width=1200, enlarge=True, formats=("avif", "webp")),),
    )
    handles = [
        fleet.producer.submit(job(samples / "rocket.jpg", tmp_path / out, recipe=unique))
        for out in ("a", "b")
    ]

    manifests = [handle.result(120) for handle in handles]

    made = [sum(not variant.memo for variant in manifest.variants) for manifest in manifests]
    assert sorted(made) == [0, 2]
    files = [
        (tmp_path / out / variant.path).read_bytes()
        for out, manifest in zip(("a", "b"), manifests, strict=True)
        for variant in manifest.variants
    ]
    assert files[:2] == files[2:]


def test_submit_many_streams_and_every_job_ends(fleet, tmp_path):
    for index in range(30):
        Image.new("RGB", (40, 30), (index * 8, 100, 50)).save(tmp_path / f"{index}.png")
    drawn = []

    def jobs():
        for index in range(30):
            drawn.append(index)
            yield job(tmp_path / f"{index}.png", tmp_path / "out")

    handles = fleet.producer.submit_many(jobs())
    assert not drawn
    statuses = [handle.result(60).status for handle in list(handles)]

    assert statuses == ["done"] * 30


def test_waiting_too_briefly_and_asking_for_strangers_are_clear_errors(fleet, tmp_path):
    with pytest.raises(UnknownJobError, match="never submitted"):
        fleet.producer.ledger.status("nobody")
    lonely = Producer(fleet.url.replace("virtual_host=0", "virtual_host=1"))
    handle = lonely.submit(job("x.jpg", tmp_path))
    with pytest.raises(ResultTimeoutError, match="queued"):
        handle.result(timeout_s=0.05)


def test_a_broker_that_is_away_is_named_without_its_password(tmp_path):
    producer = Producer("redis://user:hunter2@127.0.0.1:1/0")

    with pytest.raises(LedgerUnavailableError, match=r"127\.0\.0\.1:1") as caught:
        producer.submit(job("x.jpg", tmp_path))

    assert "hunter2" not in str(caught.value)


def test_submit_wait_and_status_follow_a_batch_on_the_command_line(fleet, tmp_path, pixfleet):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.jpg").write_bytes(photo("JPEG"))
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no image")
    broker = ("--broker", fleet.url)

    sent = pixfleet("submit", tmp_path / "in", "--out", tmp_path / "out", "--json", *broker)
    batch = json.loads(sent.stdout)["batch"]
    waited = pixfleet("wait", batch, "--json", *broker)
    status = pixfleet("status", batch, *broker)

    assert waited.returncode == 1
    assert json.loads(waited.stdout)["failed"] == 1
    assert "ended: 1 done, 1 failed of 2" in status.stdout
    lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    by_name = {Path(json.loads(line)["source"]).name: json.loads(line) for line in lines}
    assert by_name["bad.jpg"]["status"] == "failed"
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    one = pixfleet("status", by_name["bad.jpg"]["job_id"], "--json", *broker)
    assert json.loads(one.stdout)["state"] == "failed"


def test_the_light_install_submits_a_job_to_a_running_fleet(fleet, picture, tmp_path, light_env):
    code = (
        "from pixfleet.producer import ImageJob, Producer\n"
        f"out = {str(tmp_path / 'out')!r}\n"
        f"job = ImageJob(source={str(picture)!r}, recipe='thumbnail', output=out)\n"
        f"print(Producer({fleet.url!r}).submit(job).result(timeout_s=60).status)\n"
    )
    done = subprocess.run(
        [str(light_env), "-c", code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.stdout.strip() == "done", done.stderr


def test_workers_log_no_bug_and_no_secret(fleet):
    assert '"event": "bug"' not in fleet.log
    assert "hunter2" not in fleet.log


def _eventually(fleet, job_id: str, timeout_s: float = 30):
    """The manifest of a job that a foreign client sent: the ledger learns of it from the worker."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        manifest = fleet.producer.ledger.manifest(job_id)
        if manifest:
            return manifest
        threading.Event().wait(0.05)
    raise AssertionError(f"job {job_id} did not end: {fleet.log[-2000:]}")
