"""A worker's log, as who collects it sees it: whose line each one is, and that it is one line."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from PIL import Image

from pixfleet.config.contract import TASK_PREPARE
from pixfleet.producer import ImageJob, Recipe, VariantSpec
from pixfleet.producer.envelope import envelope

from .broken import RAISES_PX, breaking_fleet

EVIL = 'x\n{"event": "job.ended", "job_id": "forged"}\r\x1b[2J\u2028'


@pytest.fixture(scope="module")
def fleet():
    with breaking_fleet() as broken:
        yield broken


def lines(fleet) -> list[dict]:
    """Every line, none of which is anything but JSON."""
    return [json.loads(line) for line in fleet.log.splitlines()]


def test_every_line_of_a_step_says_of_which_job_whose_and_in_which_attempt(fleet, tmp_path):
    file = tmp_path / "picture.png"
    Image.new("RGB", (300, 200), "teal").save(file)
    cut = VariantSpec(name="v", width=RAISES_PX, formats=("jpeg", "avif"))
    recipe = Recipe(name="r", variants=(cut,), features=())
    job = ImageJob(source=str(file), output=str(tmp_path / "out"), recipe=recipe, tenant="acme")
    handle = fleet.producer.submit(job)
    assert handle.result(60).status == "partial"
    said = lines(fleet)
    of_job = [line for line in said if line.get("job_id") == handle.id]
    assert {"encoder.failed", "job.ended"} <= {line["event"] for line in of_job}
    for line in of_job:
        assert (line["task"], line["tenant"], line["attempt"]) == (TASK_PREPARE, "acme", 1)
        assert line["logger"].startswith("pixfleet.")
    (failed,) = [line for line in of_job if line["event"] == "encoder.failed"]
    assert "nobody foresaw this" in failed["exception"]
    assert not [line for line in said if line.get("task") and not line.get("job_id")]


def test_what_a_stranger_writes_ends_no_line_and_forges_none(fleet):
    job_id = str(uuid.uuid4())
    message = {"source": EVIL, "output": EVIL, "tenant": EVIL * 100, "recipe": EVIL, EVIL: EVIL}
    redis = fleet.producer.ledger.redis
    redis.lpush("bulk", envelope(TASK_PREPARE, job_id, message, "bulk", tag=job_id))
    deadline = time.monotonic() + 30
    while not (of_job := [line for line in lines(fleet) if line.get("job_id") == job_id]):
        assert time.monotonic() < deadline, fleet.log
        time.sleep(0.1)
    assert "forged" not in {line.get("job_id") for line in lines(fleet)}
    assert all(len(line["tenant"]) <= 128 for line in of_job)


def test_a_message_for_no_known_task_is_a_line_as_any_other(fleet):
    redis = fleet.producer.ledger.redis
    redis.lpush("bulk", envelope("no.such.task\n{", "i", {"source": EVIL}, "bulk", tag="no-such"))
    deadline = time.monotonic() + 30
    while not [line for line in lines(fleet) if "unregistered task" in line["event"].lower()]:
        assert time.monotonic() < deadline, fleet.log
        time.sleep(0.1)
