"""``pixfleet run`` from the outside: what a user gets on disk, on stdout and as exit code."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from decimal import Decimal
from pathlib import Path

import boto3
import psutil
import pytest
from PIL import Image

from tests.hostile import photo, write_hostile

from .conftest import PIXFLEET, manifests

FIELDS = {
    *("images", "done", "failed", "variants", "bytes_in", "bytes_out", "memo_hits", "startup_s"),
    *("wall_s", "cpu_s", "images_per_s", "cost_usd", "saved_usd", "manifest", "report"),
}


@pytest.fixture
def pictures(tmp_path, samples):
    folder = tmp_path / "in"
    (folder / "trip").mkdir(parents=True)
    for name, size in (("kodim23.png", (768, 512)), ("chelsea.png", (451, 300))):
        with Image.open(samples / name) as image:
            image.resize(size).save(folder / "trip" / name)
    return folder


def test_a_run_makes_every_variant_of_the_recipe_at_its_promised_quality(
    pictures, tmp_path, run_json
):
    out = tmp_path / "out"

    code, answer, lines = run_json(pictures, out)

    assert code == 0
    assert set(answer) == FIELDS
    assert (answer["images"], answer["done"], answer["failed"]) == (2, 2, 0)
    line = lines["kodim23.png"]
    assert {(v["name"], v["format"], v["width"], v["height"]) for v in line["variants"]} == {
        ("w320", "avif", 320, 213),
        ("w320", "jpeg", 320, 213),
        ("w640", "avif", 640, 427),
        ("w640", "jpeg", 640, 427),
        ("w1024", "avif", 768, 512),
        ("w1024", "jpeg", 768, 512),
    }
    assert line["same_as"] == {"w1600": "w1024", "w2048": "w1024"}
    for variant in line["variants"]:
        data = (out / variant["path"]).read_bytes()
        assert len(data) == variant["bytes"]
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            assert image.format == variant["format"].upper()
            assert image.size == (variant["width"], variant["height"])
        assert variant["score"] >= 74.5
        assert variant["probes"] <= 5
    assert line["features"]["thumbhash"]
    assert len(line["features"]["phash"]) == 16
    (picture,) = line["pictures"]
    files = [path for source in picture["sources"] for path in source["files"]]
    assert sorted(files) == sorted(variant["path"] for variant in line["variants"])
    assert all(path in picture["html"] for path in files)


def test_a_second_run_does_no_imaging_and_says_what_that_saved(pictures, tmp_path, run_json):
    _, first, made = run_json(pictures, tmp_path / "out")

    code, second, lines = run_json(pictures, tmp_path / "elsewhere")

    assert code == 0
    assert second["memo_hits"] == 2
    assert {line["plan"]["execution"] for line in lines.values()} == {"memo"}
    stages = {stage["stage"] for line in lines.values() for stage in line["receipt"]["stages"]}
    assert stages.isdisjoint({"decode", "resize", "features", "encode"})
    assert Decimal(second["saved_usd"]) == Decimal(first["cost_usd"])
    assert Decimal(second["cost_usd"]) < Decimal(first["cost_usd"])
    for name, line in lines.items():
        assert (line["pictures"], line["notes"]) == (made[name]["pictures"], made[name]["notes"])
        for variant in line["variants"]:
            assert (tmp_path / "elsewhere" / variant["path"]).stat().st_size == variant["bytes"]


def test_every_hostile_file_ends_in_its_own_failure_while_the_others_are_done(
    tmp_path, run_json, samples
):
    folder = tmp_path / "in"
    folder.mkdir()
    expected = write_hostile(folder)
    (folder / "good.jpg").write_bytes(photo("JPEG"))
    with Image.open(samples / "chelsea.png") as image:
        image.save(folder / "really-a-png.jpg", "PNG")
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(photo("JPEG"))
    (folder / "link-out.jpg").symlink_to(secret)
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    out = tmp_path / "out"

    code, answer, lines = run_json(folder, out, "--recipe", "thumbnail")

    assert code == 1
    failed = {name: line for name, line in lines.items() if line["status"] != "done"}
    assert {name: line["failures"][0]["code"] for name, line in failed.items()} == {
        **{name: reason for name, reason in expected.items() if name in lines},
        "link-out.jpg": "source_outside_root",
        "dangling.jpg": "source_not_found",
    }
    assert len(set(lines) & set(expected)) >= 10
    assert lines["good.jpg"]["status"] == lines["really-a-png.jpg"]["status"] == "done"
    assert all(f["message"] and f["hint"] for line in failed.values() for f in line["failures"])
    made = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    promised = {v["path"] for line in lines.values() for v in line["variants"]}
    assert made == promised | {"manifest.jsonl", "report.html"}
    assert answer["failed"] == len(failed)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["run", "nowhere", "--out", "o"], "no such file or folder", id="no-input"),
        pytest.param(["run", ".", "--out", "o", "--recipe", "wbe"], "'wbe'", id="no-recipe"),
        pytest.param(["run", "."], "--out", id="no-output"),
        pytest.param(["run", "empty", "--out", "o"], "no images", id="no-images"),
        pytest.param(["run", "empty", "--out", "empty"], "input folder itself", id="in-is-out"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(
    arguments, said, pixfleet, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()

    done = pixfleet(*arguments, COLUMNS="200")

    assert done.returncode == 2
    assert said in done.stderr
    assert not done.stdout


def test_a_faulty_recipe_file_names_file_path_and_reason(tmp_path, pixfleet, samples):
    recipe = tmp_path / "own.toml"
    recipe.write_text('name = "own"\n[[variants]]\nname = "a"\nwidht = 3\nformats = ["jpeg"]\n')

    done = pixfleet("run", samples, "--out", tmp_path / "out", "--recipe", recipe)

    assert done.returncode == 2
    assert "own.toml" in done.stderr
    assert "variants.0.widht" in done.stderr


def test_ctrl_c_stops_everything_and_the_same_command_goes_on(tmp_path, state, samples, run_json):
    run = subprocess.Popen(
        [PIXFLEET, "run", str(samples), "--out", str(tmp_path / "out")],
        env={**os.environ, "PIXFLEET_STATE": str(state)},
        start_new_session=True,
        stderr=subprocess.PIPE,
        # As on a terminal, even where whoever runs the tests ignores the signal (a job in `&`).
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").rglob("*.avif")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started = _family(run.pid, state)
    assert len(started) >= 4  # worker, its children, broker

    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=30)

    assert run.returncode == 130
    assert b"interrupted" in errors
    _, alive = psutil.wait_procs(started, timeout=15)
    assert not alive
    code, answer, _ = run_json(samples, tmp_path / "out")
    assert code == 0
    assert answer["memo_hits"] > 0


def test_a_killed_command_leaves_no_process_behind(tmp_path, state, samples):
    run = subprocess.Popen(
        [PIXFLEET, "run", str(samples), "--out", str(tmp_path / "out")],
        env={**os.environ, "PIXFLEET_STATE": str(state)},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").rglob("*.avif")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started = _family(run.pid, state)

    run.kill()
    run.wait()

    _, alive = psutil.wait_procs(started, timeout=30)
    assert not alive


def test_input_and_output_may_be_buckets(s3, pixfleet, samples):
    bucket = s3.removeprefix("s3://")
    client = boto3.client("s3")
    client.upload_file(str(samples / "chelsea.png"), bucket, "in/cats/chelsea.png")
    client.put_object(Bucket=bucket, Key="in/broken.jpg", Body=b"no image")

    done = pixfleet("run", f"{s3}/in", "--out", f"{s3}/out", "--recipe", "thumbnail", "--json")

    answer = json.loads(done.stdout)
    assert done.returncode == 1
    assert (answer["done"], answer["failed"]) == (1, 1)
    body = client.get_object(Bucket=bucket, Key="out/manifest.jsonl")["Body"].read()
    lines = {Path(line["source"]).name: line for line in map(json.loads, body.splitlines())}
    line = lines["chelsea.png"]
    (variant,) = line["variants"]
    assert variant["path"].startswith("cats/chelsea.png/thumb.")
    data = client.get_object(Bucket=bucket, Key=f"out/{variant['path']}")["Body"].read()
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (256, 256)
    assert line["receipt"]["requests"] == {"s3_get": 1, "s3_put": 1}
    assert Decimal(line["receipt"]["lines_usd"]["s3_put"]) == Decimal("0.000005")
    assert client.get_object(Bucket=bucket, Key="out/report.html")["ContentLength"] > 10_000


def test_an_output_inside_the_input_is_not_processed_again(tmp_path, run_json):
    (tmp_path / "a.jpg").write_bytes(photo("JPEG"))

    run_json(tmp_path, tmp_path / "out", "--recipe", "thumbnail")
    _, answer, _ = run_json(tmp_path, tmp_path / "out", "--recipe", "thumbnail")

    assert answer["images"] == 1


def test_the_table_tells_a_reader_what_json_tells_a_program(tmp_path, pixfleet):
    (tmp_path / "a.jpg").write_bytes(photo("JPEG"))

    done = pixfleet("run", tmp_path, "--out", tmp_path / "out", "--recipe", "thumbnail")

    assert done.returncode == 0
    assert "1: 1 done, 0 failed" in done.stdout
    assert str(tmp_path / "out/report.html") in done.stdout
    assert manifests(tmp_path / "out")["a.jpg"]["status"] == "done"


def _family(pid: int, state: Path) -> list[psutil.Process]:
    """The command's descendants, and the broker on its state, which has a session of its own."""
    family = psutil.Process(pid).children(recursive=True)
    brokers = [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if str(state) in " ".join([*(process.info["cmdline"] or []), process.info["cwd"] or ""])
    ]
    known = {process.pid for process in family}
    return family + [broker for broker in brokers if broker.pid not in {*known, pid}]
