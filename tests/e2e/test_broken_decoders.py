"""A fleet whose TIFF decoder hangs, dies or eats memory on pictures of certain widths."""

from __future__ import annotations

import os
import time

import pytest

from pixfleet.producer import ImageJob, Recipe, VariantSpec
from tests.e2e.broken import DIES_PX, HANGS_PX, RUNS_OUT_PX, breaking_fleet
from tests.hostile import photo

LIMIT_S = 3
CHILD_BYTES = 1_200_000_000
RECIPE = Recipe(name="one", variants=(VariantSpec(name="w40", width=40, formats=("jpeg",)),))


@pytest.fixture(scope="module")
def fleet():
    with breaking_fleet(
        PIXFLEET_WORKER_DECODE_TIME_LIMIT_S=str(LIMIT_S),
        PIXFLEET_WORKER_DECODE_TIME_LIMIT_S_PER_MP="1",
        PIXFLEET_WORKER_CHILD_MEMORY_BYTES=str(CHILD_BYTES),
    ) as running:
        yield running


@pytest.fixture
def submit(fleet, tmp_path):
    """Submit a TIFF of a width; the answer is the handle."""

    def submitted(width: int):
        source = tmp_path / f"{width}.tif"
        source.write_bytes(photo("TIFF", (width, 60)))
        job = ImageJob(source=str(source), output=str(tmp_path / "out"), recipe=RECIPE)
        return fleet.producer.submit(job)

    return submitted


def test_a_decoder_that_hangs_ends_its_job_at_once_and_says_so(fleet, submit):
    start_s = time.monotonic()
    manifest = submit(HANGS_PX).result(60)

    assert LIMIT_S <= time.monotonic() - start_s < LIMIT_S + 20
    assert manifest.status == "failed"
    assert manifest.attempts == 2
    (failure,) = manifest.failures
    assert failure.code == "decode_time_limit"
    for told in (f"{HANGS_PX}.tif", "TIFF", f"{HANGS_PX} x 60 px", f"{LIMIT_S + 1} s"):
        assert told in failure.message
    assert "PIXFLEET_WORKER_DECODE_TIME_LIMIT_S" in failure.hint
    assert "sitecustomize.py" in fleet.log, "the log shows where the decoder stood"


def test_a_decoder_that_crashes_twice_ends_its_job_as_crashed_and_not_as_lost(submit):
    manifest = submit(DIES_PX).result(60)

    assert manifest.status == "failed"
    assert [failure.code for failure in manifest.failures] == ["decode_crashed"]
    assert f"{DIES_PX}.tif" in manifest.failures[0].message


def test_a_decoder_that_eats_memory_is_stopped_by_its_childs_limit_and_the_child_lives(submit):
    manifest = submit(RUNS_OUT_PX).result(60)

    assert [failure.code for failure in manifest.failures] == ["decode_out_of_memory"]
    assert manifest.attempts == 1
    assert f"{RUNS_OUT_PX}.tif" in manifest.failures[0].message
    assert "PIXFLEET_WORKER_CHILD_MEMORY_BYTES" in manifest.failures[0].hint
    os.kill(int(manifest.worker.rpartition(":")[2]), 0)  # raises if there is no such process
