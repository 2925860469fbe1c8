"""Traces as a collector gets them, from real workers over OTLP; and that they are no job's harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from PIL import Image

from pixfleet.config import keys
from pixfleet.config.contract import TASK_PREPARE
from pixfleet.config.signature import keys_of, seal
from pixfleet.producer import ImageJob, Recipe, VariantSpec
from pixfleet.producer.desk import JobDesk
from pixfleet.producer.envelope import envelope
from tests.brokers import free_port
from tests.collector import Collector

from .broken import DIES_PX, breaking_fleet
from .conftest import command

RUN = "run/pixfleet.v1."
PREPARE, ENCODE, FINALIZE = f"{RUN}prepare", f"{RUN}encode", f"{RUN}finalize"
BLOCKED = Path(__file__).with_name("without_opentelemetry")
SECRET = "plain text of twenty-four bytes or more"
APPLICATION = """
import sys
import time
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from pixfleet.producer import ImageJob, Producer
trace.set_tracer_provider(TracerProvider())
with trace.get_tracer("shop").start_as_current_span("checkout") as span:
    job = Producer(sys.argv[1]).submit(ImageJob(source=sys.argv[2], output=sys.argv[3]))
print(job.id, format(span.get_span_context().trace_id, "032x"))
"""


@pytest.fixture(scope="module")
def traced():
    """A fleet that takes signed messages only, and the collector of its traces."""
    with (
        Collector() as collector,
        breaking_fleet(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, PIXFLEET_QUEUE_SECRET=SECRET
        ) as fleet,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("PIXFLEET_QUEUE_SECRET", SECRET)
        fleet.producer = type(fleet.producer)(fleet.url)
        fleet.collector = collector
        yield fleet


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "picture.png"
    Image.effect_noise((1000, 900), 60).convert("RGB").save(file)
    return str(file)


def recipe(*widths: int, formats=("jpeg",), **options) -> Recipe:
    variants = tuple(VariantSpec(name=f"w{w}", width=w, formats=formats) for w in widths)
    return Recipe(name="r", variants=variants, max_probes=2, features=(), **options)


def by_name(spans, name: str, **attributes):
    """The spans of that name with these attributes, by their short names."""
    wanted = {f"pixfleet.{key}": value for key, value in attributes.items()}
    return [s for s in spans if s.name == name and wanted.items() <= s.attributes.items()]


def assert_one_tree(spans) -> None:
    """One trace below one root, which may have been lost with a killed child."""
    ids = {span.id for span in spans}
    assert len({span.trace for span in spans}) == 1
    assert len({span.parent for span in spans if span.parent not in ids}) == 1


def test_a_job_in_one_task_is_one_trace_of_its_wait_its_attempt_and_its_stages(
    traced, picture, tmp_path
):
    job = ImageJob(source=picture, output=str(tmp_path / "out"), recipe=recipe(200), tenant="acme")
    handle = traced.producer.submit(job)
    manifest = handle.result(60)
    spans = traced.collector.wait(handle.id, PREPARE)
    assert_one_tree(spans)
    (wait,), (run,) = by_name(spans, "wait"), by_name(spans, PREPARE)
    assert (wait.parent, run.parent, run.failed) == ("", wait.id, None)
    assert run.attributes["pixfleet.tenant"] == "acme"
    assert (run.resource["service.name"], bool(run.resource["service.version"])) == (
        "pixfleet-worker",
        True,
    )
    inside = {span.name for span in spans if span.parent == run.id}
    assert {"fetch", "memo", "inspect", "decode", "resize", "encode", "store"} <= inside
    (decode,) = by_name(spans, "decode")
    assert decode.attributes["pixfleet.pixels"] == 900_000
    assert decode.attributes["pixfleet.format"] == "png"
    (store,) = by_name(spans, "store")
    assert store.attributes["pixfleet.bytes"] == manifest.variants[0].bytes
    (tried,) = by_name(spans, "encode", format="jpeg")
    assert tried.attributes["pixfleet.variant"] == "w200"
    costs = sum(s.attributes["pixfleet.cost_usd"] for s in spans if s.parent and s is not run)
    assert costs == pytest.approx(float(manifest.receipt.lines_usd["cpu"]), abs=2e-9)


def test_what_the_memo_gave_says_so(traced, picture, tmp_path):
    job = ImageJob(source=picture, output=str(tmp_path / "out"), recipe=recipe(210))
    traced.producer.submit(job).result(60)
    again = traced.producer.submit(job)
    again.result(60)
    (memo,) = by_name(traced.collector.wait(again.id, PREPARE), "memo")
    assert memo.attributes["pixfleet.memo_hit"] is True


def test_a_chord_is_one_trace_in_which_members_follow_the_first_step_and_the_end_a_member(
    traced, picture, tmp_path
):
    wanted = recipe(1000, 990, formats=("jpeg", "png"), execution="fanout")
    handle = traced.producer.submit(
        ImageJob(source=picture, output=str(tmp_path / "out"), recipe=wanted)
    )
    manifest = handle.result(90)
    assert manifest.plan.members == 2
    spans = traced.collector.wait(handle.id, PREPARE, FINALIZE)
    assert_one_tree(spans)
    span_of = {span.id: span for span in spans}
    (run,), members, (end,) = (by_name(spans, name) for name in (PREPARE, ENCODE, FINALIZE))
    assert {member.attributes["pixfleet.variant"] for member in members} == {"w1000", "w990"}
    for member in members:
        sent = span_of[member.parent]
        assert (sent.name, sent.parent) == ("apply_async/pixfleet.v1.encode", run.id)
        assert {"fetch", "encode", "store"} <= {s.name for s in spans if s.parent == member.id}
    assert span_of[span_of[end.parent].parent] in members
    assert all(s.attributes["pixfleet.job_id"] == handle.id for s in (run, *members, end))
    stages = [(s.stage, s.detail) for s in manifest.receipt.spans if s.worker]
    assert ("encode", "w1000") in stages, "the receipt has the members' stages, too"


def test_a_job_that_kills_its_workers_stays_in_its_trace_with_every_attempt(
    traced, picture, tmp_path
):
    wanted = recipe(DIES_PX, formats=("jpeg", "avif"))
    handle = traced.producer.submit(
        ImageJob(source=picture, output=str(tmp_path / "out"), recipe=wanted)
    )
    assert handle.result(90).status == "partial"
    # What a dead child had sent has lost its parent, which it had not.
    spans = traced.collector.wait(handle.id, PREPARE, count=3, whole=False)
    assert len({span.trace for span in spans}) == 1
    *dead, last = sorted(by_name(spans, PREPARE), key=lambda span: span.began_s)
    assert [span.failed for span in dead] == ["its process died"] * 2
    assert all(0 < span.ended_s - span.began_s < 60 for span in dead)
    assert last.failed == "encoder_crashed"
    assert last.attributes["pixfleet.attempt"] == 3
    assert by_name(spans, "wait", attempt=3)
    lines = [line for line in lines_of_job(traced, handle.id) if "lost" in line["event"].lower()]
    assert {line["level"] for line in lines} == {"warning", "error"}, "ours, and Celery's"
    assert {line["trace_id"] for line in lines if "trace_id" in line} <= {last.trace}


def lines_of_job(fleet, job_id: str) -> list[dict]:
    text = fleet.log
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("job_id") == job_id]


def test_a_stranger_that_sends_a_traceparent_has_the_job_in_its_trace_also_when_retried(traced):
    job_id, trace, span = str(uuid.uuid4()), uuid.uuid4().hex, "00f067aa0ba902b7"
    message = {"schema_version": 1, "source": "/not/there.png", "output": "/out"}
    sealed = seal(keys_of(SECRET), TASK_PREPARE, job_id, message)
    headers = {"traceparent": f"00-{trace}-{span}-01"}
    ledger = traced.producer.ledger
    ledger.redis.lpush(
        "bulk", envelope(TASK_PREPARE, job_id, sealed, "bulk", tag=job_id, headers=headers)
    )
    (run,) = by_name(traced.collector.wait(job_id, PREPARE), PREPARE)
    assert (run.trace, run.parent, run.failed) == (trace, span, "source_not_found")
    assert JobDesk(ledger).retry(job_id)
    both = by_name(traced.collector.wait(job_id, PREPARE, count=2), PREPARE)
    assert [(run.trace, run.parent) for run in both] == [(trace, span)] * 2


def test_the_notice_and_the_summary_belong_to_the_trace_of_the_job_that_ended(
    traced, picture, tmp_path
):
    job = ImageJob(
        source=picture,
        output=str(tmp_path / "out"),
        recipe=recipe(220),
        batch="traced-batch",
        webhook="https://127.0.0.1:9/",
    )
    ledger = traced.producer.ledger
    ledger.close_batch("traced-batch", {"output": str(tmp_path / "out")})
    handle = traced.producer.submit(job)
    spans = traced.collector.wait(handle.id, PREPARE, f"{RUN}summarize", f"{RUN}notify")
    assert_one_tree(spans)


def test_a_job_of_an_application_that_traces_is_in_the_trace_of_its_request(
    traced, picture, tmp_path
):
    done = subprocess.run(
        [sys.executable, "-c", APPLICATION, traced.url, picture, str(tmp_path / "out")],
        env={**os.environ, "PIXFLEET_QUEUE_SECRET": SECRET},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    job_id, trace = done.stdout.split()
    (run,) = by_name(traced.collector.wait(job_id, PREPARE), PREPARE)
    assert run.trace == trace


def test_a_trace_of_pixfleet_submit_begins_with_the_submission(traced, picture, tmp_path, state):
    done = command(
        *("submit", picture, "--out", str(tmp_path / "out"), "--recipe", "thumbnail"),
        *("--json", "--broker", traced.url),
        state=state,
        OTEL_EXPORTER_OTLP_ENDPOINT=traced.collector.url,
    )
    batch = json.loads(done.stdout)["batch"]
    (job_id,) = traced.producer.ledger.redis.lrange(keys.BATCH_JOBS + batch, 0, -1)
    spans = traced.collector.wait(job_id.decode(), PREPARE)
    assert_one_tree(spans)
    (root,) = [span for span in spans if not span.parent]
    assert (root.name, root.resource["service.name"]) == (
        "submit/pixfleet.v1.prepare",
        "pixfleet-submit",
    )


def test_a_collector_that_is_away_costs_no_job_and_a_warning(picture, tmp_path):
    away = f"http://127.0.0.1:{free_port()}"
    with breaking_fleet(OTEL_EXPORTER_OTLP_ENDPOINT=away) as fleet:
        for width in (50, 60, 70):
            job = ImageJob(source=picture, output=str(tmp_path / "out"), recipe=recipe(width))
            assert fleet.producer.submit(job).result(60).status == "done"
        deadline = time.monotonic() + 30
        while "does not answer" not in fleet.log:
            assert time.monotonic() < deadline, fleet.log
            time.sleep(0.1)
        said = [line for line in fleet.log.splitlines() if "collector of traces" in line]
        assert len(said) <= 2, "one by each child"


def test_without_the_packages_a_worker_works_and_says_what_is_missing(picture, tmp_path):
    with breaking_fleet(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318", PYTHONPATH=str(BLOCKED)
    ) as fleet:
        job = ImageJob(source=picture, output=str(tmp_path / "out"), recipe=recipe(80))
        assert fleet.producer.submit(job).result(60).status == "done"
        assert "pip install 'pixfleet[tracing]'" in fleet.log


def test_a_setting_of_opentelemetry_that_is_wrong_costs_the_traces_and_is_said():
    code = "from pixfleet.workers import tracing; tracing.begin_child(); print('goes on')"
    wrong = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE": "10"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **wrong},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "goes on\n"
    assert "a setting of OpenTelemetry is wrong" in done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="no_endpoint"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}),
    ],
)
def test_where_no_traces_are_wanted_nothing_of_them_is_imported_and_no_thread_runs(environment):
    code = (
        "import sys, threading\n"
        "from pixfleet.workers.app import app\n"
        "from pixfleet.workers import tracing\n"
        "app.loader.import_default_modules(); tracing.begin_child()\n"
        "with tracing.stage('decode', dict): pass\n"
        "ours = ('opentelemetry.exporter', 'opentelemetry.instrumentation')\n"
        "traced = any(name.startswith(ours) for name in sys.modules)\n"
        "sys.exit(traced or threading.active_count() > 1)"
    )
    env = {**os.environ, **environment}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0
