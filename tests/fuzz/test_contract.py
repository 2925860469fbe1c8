"""Messages nobody wrote: what is read, what is refused, and that the published schema agrees."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixfleet.config.contract import TASK_PREPARE, ContractError, ImageJob, read_job
from pixfleet.config.recipes import load_recipe
from pixfleet.producer.envelope import envelope

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "schema" / "image-job.json").read_text("utf-8")
)
VALID = jsonschema.Draft202012Validator(SCHEMA)
WHOLE = {
    "schema_version": 1,
    "source": "s3://bucket/cat.jpg",
    "output": "out",
    "name": "cats/1",
    "source_root": "/data",
    "tenant": "acme",
    "idempotency_key": "k",
    "queue": "interactive",
    "batch": "b-1",
    "recipe": load_recipe("web").model_dump(mode="json"),
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["web", "#ffffff", "fit", "jpeg", "s3://b/k", "../x", "a/../b", "", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def places(value, path=()):
    """Paths of everything inside a message."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


PLACES = [path for path in places(WHOLE) if path]


@st.composite
def near_valid(draw):
    """A full message with one to three places removed, added or holding something else."""
    message = json.loads(json.dumps(WHOLE))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(PLACES))
        inner = message
        try:
            for step in way:
                inner = inner[step]
            match draw(st.sampled_from(["put", "put", "put", "drop", "add"])):
                case "put":
                    inner[last] = draw(JSON)
                case "drop":
                    del inner[last]
                case _:
                    inner[draw(st.text())] = draw(JSON)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return message


def read(message) -> ImageJob | None:
    """The job, None where it is refused with a reason; anything else is a bug."""
    try:
        return read_job(message)
    except ContractError:
        return None


@QUICK
@given(st.dictionaries(st.text() | st.sampled_from([*WHOLE]), JSON, max_size=6))
def test_whatever_is_sent_is_a_job_or_refused_with_a_reason(message):
    job = read(message)

    assert job is None or read(job.model_dump(mode="json")) == job


@QUICK
@given(near_valid())
def test_what_the_worker_reads_the_published_schema_admits(message):
    job = read(message)

    if job is not None:
        written = job.model_dump(mode="json")
        VALID.validate(written)
        assert read(written) == job


@QUICK
@given(near_valid())
def test_a_job_comes_out_of_its_envelope_as_it_went_in(message):
    job = read(message)
    if job is None:
        return
    sent = job.model_dump(mode="json", exclude_defaults=True) | {"schema_version": 1}

    packed = json.loads(envelope(TASK_PREPARE, "id", sent, job.queue))
    (argument,), _, _ = json.loads(base64.b64decode(packed["body"]))

    assert read(argument) == job


def test_the_whole_message_is_one_that_the_schema_admits():
    VALID.validate(WHOLE)
    assert read(WHOLE) is not None
