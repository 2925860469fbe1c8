"""Two real workers: one whose child may map little, one that takes what the first cannot hold."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from pixfleet.config import keys
from pixfleet.producer import ImageJob, Producer, Recipe, VariantSpec
from pixfleet.workers.embedded import EmbeddedBroker
from pixfleet.workers.fleet.process import WorkerProcess

SMALL_BYTES = 500_000_000
LARGE_PX = (3000, 2000)
RECIPE = Recipe(name="one", variants=(VariantSpec(name="full", formats=("jpeg",)),))


@contextmanager
def small_fleet(**settings: str):
    """A broker and a worker of one child that may map 500 MB; ``start`` adds workers."""
    state = Path(tempfile.mkdtemp(prefix="pf-large-"))
    with EmbeddedBroker(state) as broker:
        producer = Producer(broker.url)

        def start(name: str, **own: str) -> WorkerProcess:
            return WorkerProcess(
                producer.ledger.redis,
                children=1,
                environment={
                    "PIXFLEET_BROKER": broker.url,
                    "PIXFLEET_STATE": str(state),
                    **settings,
                    **own,
                },
                log=state / f"{name}.log",
            )

        with start("small", PIXFLEET_WORKER_CHILD_MEMORY_BYTES=str(SMALL_BYTES)) as small:
            small.wait_ready()
            yield producer, start
    shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def job(tmp_path):
    """A job on a PNG of a size, at its full size: it takes 11 bytes a pixel to decode."""

    def made(name: str, size: tuple[int, int]) -> ImageJob:
        source = tmp_path / name
        Image.new("RGB", size, (200, 40, 90)).save(source, compress_level=1)
        return ImageJob(source=str(source), output=str(tmp_path / "out"), recipe=RECIPE)

    return made


def test_an_image_that_a_small_worker_cannot_hold_goes_to_a_large_one(job, tmp_path):
    with (
        small_fleet() as (producer, start),
        start("large", PIXFLEET_WORKER_QUEUES="large") as large,
    ):
        large.wait_ready()
        huge = producer.submit(job("huge.png", LARGE_PX))
        manifest, other = huge.result(60), producer.submit(job("tiny.png", (90, 60))).result(60)
        line, _ = producer.ledger.redis.hget(keys.JOB + huge.id, "history").splitlines()

    assert manifest.status == "done"
    assert manifest.attempts == 1, "what a small worker refuses is no attempt"
    assert manifest.plan.execution == "fused"
    (variant,) = manifest.variants
    with Image.open(tmp_path / "out" / variant.path) as image:
        assert image.size == LARGE_PX
    assert other.status == "done"
    assert manifest.worker != other.worker, "the large one takes only what is for it"
    history = json.loads(line)
    assert history["how"] == "rerouted"
    assert history["owner"] == other.worker
    assert "GB" in history["why"]


def test_where_no_worker_is_large_enough_the_job_fails_in_time_with_what_it_needs(job):
    with small_fleet(PIXFLEET_LARGE_WAIT_S="1") as (producer, _):
        start_s = time.monotonic()
        manifest = producer.submit(job("huge.png", LARGE_PX)).result(60)
        client = producer.ledger.redis
        left = client.llen("large"), client.zcard(keys.LARGE), client.llen("encode")

    assert time.monotonic() - start_s < 20
    assert manifest.status == "failed"
    assert manifest.attempts == 1
    (failure,) = manifest.failures
    assert failure.code == "memory_budget_too_small"
    assert "0.05 GB" in failure.message
    assert "PIXFLEET_WORKER_CHILD_MEMORY_BYTES" in failure.hint
    assert left == (0, 0, 0)


def test_pixfleet_run_does_not_wait_for_a_worker_that_cannot_come(pixfleet, job, tmp_path):
    source = Path(job("huge.png", LARGE_PX).source)
    start_s = time.monotonic()
    done = pixfleet(
        *("run", source, "--out", tmp_path / "out", "--recipe", "archive", "--json"),
        PIXFLEET_WORKER_CHILD_MEMORY_BYTES=str(SMALL_BYTES),
    )

    assert time.monotonic() - start_s < 30
    assert done.returncode == 1
    (line,) = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    assert [failure["code"] for failure in json.loads(line)["failures"]] == [
        "memory_budget_too_small"
    ]
