from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from pixfleet.workers.storage.leftovers import Swept, sweep_leftovers
from pixfleet.workers.storage.local import LocalFiles
from pixfleet.workers.storage.objects import ObjectStore
from tests.hostile import photo

WHOLE = b"whole"


def never(_: str) -> bool:
    return False


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def killed_in_the_act(folder: Path, act, seen) -> None:
    """A process that does ``act`` again and again, killed as soon as ``seen`` is true."""
    if not (pid := os.fork()):
        while True:
            act()
    deadline = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < deadline, "the act never showed"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_a_killed_writer_leaves_is_swept_once_it_is_old(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_TMPFILE")  # as on a file system without files without names
    store = ObjectStore(str(tmp_path))
    store.put("blobs/ab/kept", WHOLE)
    (tmp_path / ".mine.part").write_bytes(WHOLE)
    data = bytes(100_000_000)
    parts = lambda: [name for name in files(tmp_path / "out") if name.endswith(".part")]  # noqa: E731

    killed_in_the_act(tmp_path, lambda: LocalFiles(str(tmp_path)).put("out/a.jpg", data), parts)

    assert len(parts()) == 1
    assert "out" not in [key for key, _ in store.list()], "nobody sees it as a result"
    assert sweep_leftovers(store, 3600, never) == Swept(0, 0), "it may still be written"
    assert sweep_leftovers(store, 0, never) == Swept(1, 0)
    assert not parts()
    assert store.get("blobs/ab/kept") == WHOLE
    assert (tmp_path / ".mine.part").exists(), "a user's own file is none of ours"


def test_where_files_can_be_nameless_a_killed_writer_leaves_nothing(tmp_path):
    store = ObjectStore(str(tmp_path))
    data = bytes(100_000_000)
    start_s = time.monotonic()

    killed_in_the_act(
        tmp_path, lambda: store.put("a.jpg", data), lambda: time.monotonic() > start_s + 0.3
    )

    assert files(tmp_path) in ([], ["a.jpg"])


def test_a_killed_treatment_of_a_background_leaves_no_file(tmp_path, monkeypatch):
    requantise = pytest.importorskip("pixfleet.workers.imaging.requantise")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    data = photo("JPEG", (2000, 1500), quality=95)
    requantise.Coefficients(data)
    start_s = time.monotonic()

    killed_in_the_act(
        tmp_path,
        lambda: requantise.Coefficients(data).written({}),
        lambda: time.monotonic() > start_s + 0.5,
    )

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_parked_pixels_of_ended_jobs_go_and_those_of_running_ones_stay(place, tmp_path, request):
    url = str(tmp_path) if place == "folder" else request.getfixturevalue("s3")
    store = ObjectStore(url)
    for key in ("work/ended/1/a.npz", "work/ended/2/a.npz", "work/runs/1/a.npz", "work/runs/b.npz"):
        store.put(key, WHOLE)
    store.put("blobs/ab/work", WHOLE)
    asked: list[str] = []

    def is_ended(job_id: str) -> bool:
        asked.append(job_id)
        return job_id == "ended"

    assert sweep_leftovers(store, 0, is_ended) == Swept(0, 2)
    assert sorted(key for key, _ in store.list()) == [
        "blobs/ab/work",
        "work/runs/1/a.npz",
        "work/runs/b.npz",
    ]
    assert sorted(asked) == ["ended", "runs"]
