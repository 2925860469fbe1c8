"""``pixfleet estimate`` from the outside: what it tells, against the run that it tells of."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from decimal import Decimal

import boto3
import psutil
import pytest

from .conftest import PIXFLEET

RECIPE = "thumbnail"


@pytest.fixture
def place(tmp_path):
    """Where temporary files go."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


@pytest.fixture
def estimate(pixfleet, place):
    """``pixfleet estimate … --json``: (the object on stdout, messages on stderr)."""

    def told(source, *more, code=0, **environment):
        words = ("estimate", source, "--recipe", RECIPE, "--json", *more)
        done = pixfleet(*words, TMPDIR=str(place), **environment)
        assert done.returncode == code, done.stderr
        assert not list(place.glob("pixfleet-estimate-*")), "the sample's files were left"
        return json.loads(done.stdout) if done.stdout else None, done.stderr

    return told


def usd(interval) -> Decimal:
    return Decimal(interval["expected"])


def test_a_census_foretells_the_run(samples, tmp_path, estimate, run_json):
    told, _ = estimate(samples)

    _, real, lines = run_json(samples, tmp_path / "out", "--recipe", RECIPE)

    assert (told["images"], told["sampled"], told["census"]) == (7, 7, True)
    assert told["bytes_out"]["expected"] == real["bytes_out"]
    assert told["bytes_in"] == real["bytes_in"]
    assert told["files"]["expected"] == real["variants"]
    # The machine's own noise, with other work beside it.
    assert usd(told["run_usd"]) == pytest.approx(Decimal(real["cost_usd"]), rel=Decimal("0.5"))
    lives = [variant["lifetime"] for line in lines.values() for variant in line["variants"]]
    for part in ("storage", "egress"):
        assert usd(told["parts_usd"][part]) == sum(Decimal(life[f"{part}_usd"]) for life in lives)


def test_a_sample_tells_of_all_images_and_how_sure_it_is(samples, estimate, state):
    told, _ = estimate(samples, "--sample", "4", "--workers", "3")

    assert (told["images"], told["sampled"], told["census"]) == (7, 4, False)
    run = told["run_usd"]
    assert Decimal(run["low"]) < Decimal(run["expected"]) < Decimal(run["high"])
    parts = sum(usd(part) for part in told["parts_usd"].values())
    assert usd(told["lifetime_usd"]) == pytest.approx(parts, abs=Decimal("2e-9"))
    million = Decimal(told["per_million_usd"]["expected"])
    assert million == pytest.approx(usd(told["lifetime_usd"]) / 7 * 10**6, abs=Decimal("0.001"))
    assert told["time"]["workers"] == 3
    one, two, four = told["times"]
    assert one["wall_s"] > two["wall_s"] > four["wall_s"]
    machines = {line["machine"]: Decimal(line["total_usd"]) for line in told["machines"]}
    assert machines["c7i.large spot"] < machines["c7i.large on_demand"] < machines["lambda-x86"]
    assert not state.exists() or not list(state.iterdir()), "an estimate leaves nothing behind"


def test_what_the_memo_knows_costs_its_recall_alone(samples, tmp_path, estimate, pixfleet):
    known = tmp_path / "known"
    known.mkdir()
    shutil.copy(samples / "rocket.jpg", known)
    pixfleet("run", known, "--recipe", RECIPE, "--out", tmp_path / "out")
    shutil.copy(samples / "chelsea.png", known)

    told, _ = estimate(known)

    assert told["known_in_sample"] == told["known"]["expected"] == 1
    assert usd(told["run_usd"]) < usd(told["fresh_run_usd"]) * Decimal("0.8")


def test_requests_are_counted_where_results_would_go(samples, s3, estimate):
    bucket = s3.removeprefix("s3://")
    client = boto3.client("s3")
    for name in ("chelsea.png", "rocket.jpg"):
        client.upload_file(str(samples / name), bucket, f"in/{name}")

    told, _ = estimate(f"{s3}/in/", "--out", f"{s3}/out")

    assert told["bytes_in"] == sum(
        (samples / n).stat().st_size for n in ("chelsea.png", "rocket.jpg")
    )
    requests = 2 * (Decimal("0.0004") + Decimal("0.005")) / 1000
    assert usd(told["parts_usd"]["requests"]) == pytest.approx(requests, abs=Decimal("2e-9"))
    listed = client.list_objects_v2(Bucket=bucket)["Contents"]
    assert all(entry["Key"].startswith("in/") for entry in listed), "an estimate writes nothing"


def test_images_that_fail_are_named_with_their_share(samples, tmp_path, estimate):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(samples / "chelsea.png", folder)
    (folder / "text.jpg").write_text("no image")

    told, messages = estimate(folder, PIXFLEET_MEMO_ENABLED="false")

    assert (told["known"], told["memo"]) == (None, "it is switched off")
    assert told["failed"]["expected"] == 1
    (failed,) = told["failures"]
    assert failed["source"].endswith("text.jpg")
    assert failed["failures"][0]["code"] == "unsupported_format"
    assert messages == ""


def test_a_sample_that_fails_wholly_tells_why_and_nothing_else(tmp_path, estimate):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "text.jpg").write_text("no image")

    told, messages = estimate(folder, code=1)

    assert told is None
    assert "all 1 images of the sample failed" in messages
    assert "unsupported_format" in messages


@pytest.mark.parametrize(
    ("options", "environment", "said"),
    [
        (("--sample", "0"), {}, "--sample"),
        (("--sample", "-4"), {}, "--sample"),
        (("--recipe", "nothing"), {}, "no recipe 'nothing'"),
        ((), {"PIXFLEET_PRICES_INSTANCE": "c9.huge"}, "no instance 'c9.huge'"),
    ],
    ids=["no sample", "negative sample", "unknown recipe", "unknown machine"],
)
def test_a_wrong_question_is_refused_before_any_work(options, environment, said, samples, estimate):
    _, messages = estimate(samples, *options, code=2, **environment)

    assert said in messages


def test_an_empty_folder_is_said_to_be_empty(tmp_path, estimate):
    (tmp_path / "in").mkdir()

    _, messages = estimate(tmp_path / "in", code=2)

    assert "no images there" in messages


def test_ctrl_c_leaves_no_process_and_no_file(samples, place, state):
    process = subprocess.Popen(
        [PIXFLEET, "estimate", str(samples), "--recipe", "web"],
        env={**os.environ, "PIXFLEET_STATE": str(state), "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As on a terminal, even where whoever runs the tests ignores the signal (a job in `&`).
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    family = psutil.Process(process.pid)
    deadline = time.monotonic() + 30
    while not any(
        place.glob("pixfleet-estimate-*/fresh/*")
    ):  # the first results: the sample is in work
        assert time.monotonic() < deadline, "nothing was made"
        time.sleep(0.05)
    children = family.children(recursive=True)
    assert children

    process.send_signal(signal.SIGINT)
    out, messages = process.communicate(timeout=30)

    assert process.returncode == 130
    assert (out, messages) == ("", "interrupted; nothing was kept\n")
    assert not psutil.wait_procs(children, timeout=15)[1]
    assert not list(place.glob("pixfleet-estimate-*"))
