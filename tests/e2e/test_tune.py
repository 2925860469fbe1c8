"""``pixfleet tune`` from the outside: experiments on real fleets, and the file that comes of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from .conftest import PIXFLEET

TINY = """
name = "tiny"
quality = 60
max_cpu_s_per_mp = 0
[[variants]]
name = "w96"
width = 96
formats = ["jpeg"]
"""
READ = """
from pixfleet.config.settings import Settings
worker = Settings.load().worker
print(worker.children, worker.prefetch)
"""


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    return file


@pytest.fixture
def source(samples, tmp_path):
    folder = tmp_path / "in\nexit 7"  # a name must not become a line of the file
    folder.mkdir()
    for name in ("chelsea.png", "rocket.jpg"):
        shutil.copy(samples / name, folder)
    (folder / "text.jpg").write_text("no image")
    return folder


def test_the_file_of_settings_holds_what_was_chosen_with_its_evidence(
    source, recipe, place, tmp_path, pixfleet
):
    out = tmp_path / "best.env"
    words = ("tune", source, "--recipe", recipe, "--seconds", "12", "--out", out, "--json")
    set_before = {"PIXFLEET_CONCURRENCY": "2", "PIXFLEET_WORKER_PREFETCH": "2"}

    done = pixfleet(*words, TMPDIR=str(place), **set_before)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["images"] == 3
    tried = {one["setting"]: one for one in found["experiments"]}
    assert tried["concurrency"]["present"] == "2"
    measured = tried["concurrency"]["values"]
    for one in measured.values():
        assert all(rate > 0 for rate in one["images_per_s"])
        assert one["failed"] > 0, "the text is no image"
    assert not list(place.glob("pixfleet-tune-*"))
    text = out.read_text()
    assert "concurrency (now 2)" in text
    # As a user takes it into use: a shell reads it, and a process of its own the settings.
    plain = {name: value for name, value in os.environ.items() if name not in set_before}
    script = f'set -eu; set -a; . "{out}"; set +a; exec "$0" -c "$1"'
    read = subprocess.run(
        ["bash", "-c", script, sys.executable, READ],
        env=plain,
        capture_output=True,
        text=True,
        check=True,
    )
    children, prefetch = read.stdout.split()
    assert children == tried["concurrency"]["chosen"]
    if "prefetch" in tried:
        assert prefetch == tried["prefetch"]["chosen"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--seconds", "1"), "--seconds"),
        (("--recipe", "nothing"), "no recipe 'nothing'"),
        (("--out", "missing/best.env"), "its folder is missing"),
    ],
    ids=["no time", "unknown recipe", "no folder"],
)
def test_a_wrong_question_is_refused_before_any_work(options, said, source, pixfleet):
    done = pixfleet("tune", source, *options)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_file_of_other_settings_is_not_written_over(source, tmp_path, pixfleet):
    own = tmp_path / ".env"
    own.write_text("SECRET=1\n")

    done = pixfleet("tune", source, "--out", own)

    assert done.returncode == 2
    assert "holds something else" in done.stderr
    assert own.read_text() == "SECRET=1\n"


def test_no_images_is_said(tmp_path, pixfleet):
    (tmp_path / "in").mkdir()

    done = pixfleet("tune", tmp_path / "in", "--out", tmp_path / "best.env")

    assert done.returncode == 2
    assert "no images there" in done.stderr


def test_images_that_all_fail_tell_why_and_write_nothing(source, recipe, tmp_path, pixfleet):
    out = tmp_path / "best.env"
    (source / "chelsea.png").unlink()
    (source / "rocket.jpg").unlink()

    done = pixfleet("tune", source, "--recipe", recipe, "--out", out)

    assert done.returncode == 1
    assert "images failed: unsupported_format" in done.stderr
    assert not out.exists()


def test_ctrl_c_leaves_no_process_and_no_file(source, place, tmp_path):
    out = tmp_path / "best.env"
    process = subprocess.Popen(
        [PIXFLEET, "tune", str(source), "--out", str(out)],
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As on a terminal, even where whoever runs the tests ignores the signal (a job in `&`).
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    family = psutil.Process(process.pid)
    deadline = time.monotonic() + 30
    while not any(place.glob("pixfleet-tune-*/out/*")):
        assert time.monotonic() < deadline, "nothing was made"
        time.sleep(0.05)
    children = family.children(recursive=True)
    assert children

    process.send_signal(signal.SIGINT)
    printed, messages = process.communicate(timeout=30)

    assert process.returncode == 130
    assert (printed, messages) == ("", "interrupted; nothing was written\n")
    assert not psutil.wait_procs(children, timeout=15)[1]
    assert not list(place.glob("pixfleet-tune-*"))
    assert not out.exists()
