from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from pixfleet.config.access import SourceSettings
from pixfleet.workers.errors import (
    LimitError,
    OutputError,
    SourceError,
    StoreUnavailableError,
    WorkError,
)
from pixfleet.workers.storage.blobs import BlobStore
from pixfleet.workers.storage.guard import open_source
from pixfleet.workers.storage.objects import ObjectStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path):
    if request.param == "local":
        return ObjectStore(str(tmp_path / "out"))
    return ObjectStore(request.getfixturevalue("s3") + "/some/prefix/")


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


NAMES = ["a.jpg", "deep/er/b.avif", "with space.jpg", "ü/é.png", "100%.jpg", "p%20q", "a#1"]


@pytest.mark.parametrize("name", NAMES)
def test_what_was_put_is_got(store, name):
    store.put(name, b"\0pixels")
    assert store.get(name) == b"\0pixels"
    assert store.size(name) == 7
    assert list(store.list()) == [(name, 7)]


def test_a_name_with_a_control_character_is_kept_locally_and_refused_by_s3(store):
    if store.remote:
        with pytest.raises(OutputError) as caught:
            store.put("tab\t.jpg", b"x")
        assert caught.value.code == "output_unwritable"
        with pytest.raises(SourceError):
            store.get("tab\t.jpg")
    else:
        store.put("tab\t.jpg", b"x")
        assert store.get("tab\t.jpg") == b"x"


def test_putting_again_replaces(store):
    store.put("a/b", b"long old content")
    store.put("a/b", b"new")
    assert store.get("a/b") == b"new"
    assert [size for _, size in store.list()] == [3]


def test_an_empty_object_can_be_kept(store):
    store.put("empty", b"")
    assert store.get("empty") == b""
    assert store.size("empty") == 0


def test_a_missing_object_is_not_found_and_has_no_size(store):
    with pytest.raises(SourceError) as caught:
        store.get("nope/nothing")
    assert caught.value.code == "source_not_found"
    assert store.size("nope/nothing") is None
    assert not store.exists("nope/nothing")
    store.delete("nope/nothing")


def test_deleting_and_listing_below_a_folder(store):
    for name in ("x/1", "x/y/2", "xz/3"):
        store.put(name, b"1")
    assert sorted(store.list("x")) == [("x/1", 1), ("x/y/2", 1)]
    store.delete("x/1", "x/y/2")
    assert list(store.list()) == [("xz/3", 1)]
    assert list(store.list("x")) == []


def test_a_copy_shares_nothing_with_its_original(store, tmp_path):
    store.put("a", b"first")
    store.copy("a", "b/c")
    if not store.remote:
        with (tmp_path / "out" / "a").open("r+b") as file:
            file.write(b"XXXXX")  # in place, as an editor might
    else:
        store.put("a", b"XXXXX")
    assert store.get("b/c") == b"first"


@pytest.mark.parametrize("key", ["../up", "a/../../up", "/etc/x", "a//b", "./a", "", "nul\0"])
def test_no_key_leads_out_of_the_store(store, key):
    with pytest.raises(OutputError) as refused:
        store.put(key, b"x")
    assert refused.value.code == "output_outside_root"
    with pytest.raises(SourceError) as refused:
        store.get(key)
    assert refused.value.code == "source_outside_root"


def test_an_object_over_the_limit_is_not_read(store):
    store.put("big", bytes(1000))
    with pytest.raises(LimitError):
        store.get("big", max_bytes=999)
    assert len(store.get("big", max_bytes=1000)) == 1000


def test_every_s3_request_is_counted_by_what_it_is_billed_as(s3):
    seen: list[str] = []
    store = ObjectStore(s3, seen.append)
    store.put("a", b"1")
    store.get("a")
    store.size("a")
    store.copy("a", "b")
    list(store.list())
    store.delete("a")
    assert seen == ["s3_put", "s3_get", "s3_head", "s3_put", "s3_list"]


def test_local_files_bill_nothing(tmp_path):
    seen: list[str] = []
    store = ObjectStore(str(tmp_path), seen.append)
    store.put("a", b"1")
    store.get("a")
    assert seen == []


def test_a_source_in_a_bucket_costs_one_request(s3):
    ObjectStore(s3).put("in/photo 1.jpg", b"pixels")
    seen: list[str] = []
    url = f"{s3}/in/photo 1.jpg"
    data = open_source(
        url, root=f"{s3}/in", max_bytes=6, rules=SourceSettings(), on_request=seen.append
    )
    assert data == b"pixels"
    assert seen == ["s3_get"]
    with pytest.raises(LimitError):
        open_source(url, root=None, max_bytes=5, rules=SourceSettings())


# --- local writes -----------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path):
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        store = ObjectStore(str(disk))
        store.put("kept", b"old")
        with pytest.raises(OutputError) as caught:
            store.put("new/big", bytes(200_000))
        assert caught.value.code == "output_disk_full"
        with pytest.raises(OutputError):
            store.put("kept", bytes(200_000))
        assert files_below(disk) == ["kept"]
        assert store.get("kept") == b"old"
        store.put("fits", bytes(10_000))


LIMITED = """
import resource, signal, sys
from pixfleet.workers.errors import OutputError
from pixfleet.workers.storage.objects import ObjectStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    ObjectStore(sys.argv[1]).put("big", bytes(200_000))
except OutputError as error:
    print(error.code)
"""


def test_a_write_that_breaks_off_leaves_nothing(tmp_path):
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(out)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "output_unwritable\n"
    assert files_below(out) == []


WRITES_FOR_EVER = """
import sys
from pixfleet.workers.storage.objects import ObjectStore
store = ObjectStore(sys.argv[1])
data = b"0123456789" * 400_000
print("writing", flush=True)
while True:
    store.put("same", data)
    store.put("new", data)
    store.delete("new")
"""


def test_a_killed_writer_leaves_only_whole_files(tmp_path):
    out = tmp_path / "out"
    for kill_after_s in (0.05, 0.11, 0.17):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITES_FOR_EVER, str(out)], stdout=subprocess.PIPE
        )
        with writer:
            assert writer.stdout
            writer.stdout.readline()
            time.sleep(kill_after_s)
            writer.send_signal(signal.SIGKILL)
    for path in out.iterdir():
        assert path.stat().st_size == 4_000_000, path
    assert {key for key, _ in ObjectStore(str(out)).list()} <= {"same", "new"}


def test_readers_see_the_old_or_the_new_file_and_nothing_between(tmp_path):
    store = ObjectStore(str(tmp_path))
    store.put("a", b"0" * 300_000)
    seen: set[tuple[int, int]] = set()
    over = threading.Event()

    def read():
        while not over.is_set():
            data = store.get("a")
            seen.add((len(data), len(set(data))))

    reader = threading.Thread(target=read)
    reader.start()
    for round_ in range(150):
        store.put("a", str(round_ % 10).encode() * 300_000)
    over.set()
    reader.join()
    assert seen == {(300_000, 1)}


def test_a_linked_folder_that_leaves_the_output_is_refused(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "link").symlink_to(elsewhere)
    store = ObjectStore(str(out))
    with pytest.raises(OutputError) as caught:
        store.put("link/deep/a", b"x")
    assert caught.value.code == "output_outside_root"
    assert list(elsewhere.iterdir()) == []


def test_writing_over_a_link_replaces_the_link_and_spares_its_target(tmp_path):
    (tmp_path / "target").write_bytes(b"precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / "a").symlink_to(tmp_path / "target")
    store = ObjectStore(str(out))
    store.put("a", b"new")
    assert (tmp_path / "target").read_bytes() == b"precious"
    assert store.get("a") == b"new"
    assert not (out / "a").is_symlink()


def test_nothing_behind_a_link_out_of_the_folder_is_deleted_or_looked_at(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (out, elsewhere):
        folder.mkdir()
    (elsewhere / "theirs").write_bytes(b"theirs")
    (out / "link").symlink_to(elsewhere)
    store = ObjectStore(str(out))
    for touch in (store.delete, store.size, store.get):
        with pytest.raises(WorkError) as caught:
            touch("link/theirs")
        assert caught.value.code.endswith("_outside_root")
    assert (elsewhere / "theirs").read_bytes() == b"theirs"


@pytest.mark.parametrize("move", ["put", "delete"])
def test_a_folder_swapped_for_a_link_after_the_check_is_not_entered(tmp_path, monkeypatch, move):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    for folder in (out / "a", elsewhere):
        folder.mkdir(parents=True)
        (folder / "name").write_bytes(b"theirs")
    store = ObjectStore(str(out))
    resolve = os.path.realpath

    def swapped(path, **options):
        real = resolve(path, **options)
        if str(path) == str(out / "a") and not (out / "a").is_symlink():
            (out / "a").rename(tmp_path / "moved")
            (out / "a").symlink_to(elsewhere)
        return real

    monkeypatch.setattr(os.path, "realpath", swapped)
    with suppress(WorkError):
        store.put("a/name", b"ours") if move == "put" else store.delete("a/name")
    assert (out / "a").is_symlink()
    assert files_below(elsewhere) == ["name"]
    assert (elsewhere / "name").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("key", "url"),
    [
        pytest.param("photo.jpg/below", "{folder}", id="below-a-file"),
        pytest.param("folder", "{folder}", id="over-a-folder"),
        pytest.param("n" * 300, "{folder}", id="name-too-long"),
        pytest.param("a", "{folder}/photo.jpg", id="output-is-a-file"),
    ],
)
def test_an_output_that_cannot_be_is_refused_with_its_reason(tmp_path, key, url):
    (tmp_path / "photo.jpg").write_bytes(b"pixels")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError) as caught:
        ObjectStore(url.format(folder=tmp_path)).put(key, b"x")
    assert caught.value.code == "output_unwritable"
    assert str(tmp_path) in caught.value.message
    assert files_below(tmp_path) == ["photo.jpg"]


AS_NOBODY = """
import os, sys
from pixfleet.workers.errors import OutputError
from pixfleet.workers.storage.objects import ObjectStore
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
try:
    ObjectStore(sys.argv[1]).put("a", b"x")
except OutputError as error:
    print(error.code)
"""


def test_a_folder_without_permission_is_forbidden():
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, "/proc/sys/kernel"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "output_forbidden\n"


def test_folders_that_became_empty_are_removed_and_come_back(tmp_path):
    store = ObjectStore(str(tmp_path / "out"))
    store.put("work/job/1", b"x")
    store.delete("work/job/1")
    assert not (tmp_path / "out" / "work").exists()
    store.put("work/job/2", b"x")
    assert store.get("work/job/2") == b"x"


def test_no_write_is_lost_while_others_remove_empty_folders(tmp_path):
    stores = [ObjectStore(str(tmp_path)) for _ in range(3)]
    failures: list[WorkError] = []

    def churn(number):
        for round_ in range(150):
            key = f"w/x/{number}-{round_}"
            try:
                stores[number].put(key, b"x")
            except WorkError as error:
                failures.append(error)
            stores[number].delete(key)

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


FORKS_LOCALLY = """
import os, sys
from pixfleet.workers.storage.objects import ObjectStore
store = ObjectStore(sys.argv[1])
store.put("a", b"1")
child = os.fork()
if not child:
    store.put("b", store.get("a") + b"2")
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_store_that_was_used_before_a_fork_works_in_the_child(tmp_path):
    subprocess.run([sys.executable, "-c", FORKS_LOCALLY, str(tmp_path)], check=True, timeout=30)
    assert ObjectStore(str(tmp_path)).get("b") == b"12"


# --- a store that is away ---------------------------------------------------------------------


@contextmanager
def s3_that_answers(status: int):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        do_PUT = do_HEAD = do_GET  # noqa: N815 (http.server's names)

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_s3_that_is_overloaded_is_worth_a_retry(monkeypatch, status):
    with s3_that_answers(status) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        store = ObjectStore("s3://bucket")
        with pytest.raises(StoreUnavailableError) as caught:
            store.get("a")
        assert str(status) in caught.value.message
        with pytest.raises(StoreUnavailableError):
            store.put("a", b"x")


@pytest.mark.usefixtures("aws")
def test_an_s3_that_refuses_connections_is_worth_a_retry(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(StoreUnavailableError) as caught:
        ObjectStore("s3://bucket").get("a")
    assert "AWS_ENDPOINT_URL" in caught.value.hint


@pytest.mark.usefixtures("aws")
def test_credentials_that_are_not_allowed_are_no_reason_to_retry(monkeypatch):
    with s3_that_answers(403) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        store = ObjectStore("s3://bucket")
        with pytest.raises(SourceError) as unread:
            store.get("a")
        with pytest.raises(OutputError) as unwritten:
            store.put("a", b"x")
    assert unread.value.code == "source_unreadable"
    assert unwritten.value.code == "output_forbidden"


@pytest.mark.usefixtures("aws")
def test_a_bucket_that_does_not_exist_is_said():
    with pytest.raises(OutputError) as caught:
        ObjectStore("s3://pixfleet-nowhere").put("a", b"x")
    assert "s3://pixfleet-nowhere/a does not exist" in caught.value.message


def test_credentials_of_a_profile_serve_as_those_of_the_environment_do(s3, monkeypatch, tmp_path):
    ObjectStore(s3).put("a", b"1")
    file = tmp_path / "credentials"
    file.write_text("[mine]\naws_access_key_id = k\naws_secret_access_key = s\n")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    assert ObjectStore(s3).get("a") == b"1"


def test_an_url_of_another_kind_is_refused():
    with pytest.raises(OutputError) as caught:
        ObjectStore("gopher://x")
    assert caught.value.code == "output_scheme_unsupported"


FORKS = """
import os, sys
from pixfleet.workers.storage.objects import ObjectStore
store = ObjectStore(sys.argv[1])
store.put("a", b"1")
child = os.fork()
if not child:
    try:
        store.get("a")
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_using_s3_before_a_fork_is_loud_in_the_child_instead_of_hanging(s3):
    done = subprocess.run(
        [sys.executable, "-c", FORKS, s3], capture_output=True, text=True, check=True, timeout=30
    )
    assert "open stores only in the children" in done.stdout


# --- blobs ------------------------------------------------------------------------------------


def test_a_blob_is_named_by_its_content(store):
    blobs = BlobStore(store)
    sha256 = blobs.put_blob(b"pixels")
    assert sha256 == "6ec9c2b0eb14010746c8bce8939303b382344b296206612eb8a907a37b2b2f37"
    assert blobs.get_blob(sha256) == b"pixels"
    assert [key for key, _ in store.list()] == [f"blobs/{sha256[:2]}/{sha256}"]


def test_a_corrupt_blob_is_not_given_out_and_is_removed(store):
    blobs = BlobStore(store)
    sha256 = blobs.put_blob(b"pixels")
    store.put(blobs.key(sha256), b"pixelz")
    assert blobs.get_blob(sha256) is None
    assert not store.exists(blobs.key(sha256))
    assert blobs.put_blob(b"pixels") == sha256
    assert blobs.get_blob(sha256) == b"pixels"


def test_many_blobs_come_back_in_the_order_asked_for(store):
    blobs = BlobStore(store)
    contents = [f"blob {number}".encode() for number in range(20)]
    names = blobs.put_blobs(contents)
    blobs.delete_blobs(names[3:5])
    expected = [None if number in (3, 4) else data for number, data in enumerate(contents)]
    assert blobs.get_blobs(names) == expected
