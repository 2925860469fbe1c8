from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from pixfleet.workers.fleet.scratch import close_scratch, enter_scratch, open_scratch
from pixfleet.workers.imaging.requantise import Coefficients
from pixfleet.workers.storage.leftovers import Swept, sweep_leftovers
from pixfleet.workers.storage.local import LocalFiles
from pixfleet.workers.storage.objects import ObjectStore
from tests.hostile import photo

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = b"whole"


def never(_: str) -> bool:
    return False


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def killed_in_the_act(act, seen) -> None:
    """A process that does ``act`` again and again, killed as soon as ``seen`` is true."""
    if not (pid := os.fork()):
        try:
            while True:
                act()
        finally:
            os._exit(1)
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

    killed_in_the_act(lambda: LocalFiles(str(tmp_path)).put("out/a.jpg", data), parts)

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

    killed_in_the_act(lambda: store.put("a.jpg", data), lambda: time.monotonic() > start_s + 0.3)

    assert files(tmp_path) in ([], ["a.jpg"])


def test_temporary_files_of_a_killed_child_go_with_the_next_and_of_a_worker_with_its_end(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "pixfleet-0").mkdir()  # the embedded broker's, and none of a worker's
    folder = open_scratch()
    data = photo("JPEG", (1200, 900), quality=95)

    def child() -> None:
        if not (folder / str(os.getpid())).exists():
            enter_scratch(folder)
        Coefficients(data).written({})

    killed_in_the_act(child, lambda: files(folder))
    assert len(files(folder)) >= 1, "jpeglib's own, which only its process would have removed"

    if not (pid := os.fork()):
        enter_scratch(folder)
        os._exit(0)
    os.waitpid(pid, 0)
    assert [child.name for child in folder.iterdir()] == [str(pid)]
    close_scratch(folder)
    assert [child.name for child in tmp_path.iterdir()] == ["pixfleet-0"]


def test_a_starting_worker_removes_the_folders_of_workers_that_were_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if not (pid := os.fork()):
        (open_scratch() / "left").write_bytes(b"")
        os._exit(0)
    os.waitpid(pid, 0)
    assert files(tmp_path)

    folder = open_scratch()

    assert list(tmp_path.iterdir()) == [folder]
    assert not files(tmp_path)


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
