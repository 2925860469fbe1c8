from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pixfleet.config.access import SourceSettings
from pixfleet.workers.errors import LimitError, PermanentError
from pixfleet.workers.storage.guard import open_source

OPEN_AS_NOBODY = """
import os, sys
from pixfleet.config.access import SourceSettings
from pixfleet.workers.errors import SourceError
from pixfleet.workers.storage.guard import open_source
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
try:
    open_source(sys.argv[1], root=None, max_bytes=1000, rules=SourceSettings())
except SourceError as error:
    print(error.code, error.hint)
"""


def fetch(url, root=None, max_bytes=1_000_000, **rules):
    return open_source(
        str(url), root=root and str(root), max_bytes=max_bytes, rules=SourceSettings(**rules)
    )


def refusal(url, root=None, max_bytes=1_000_000, **rules):
    with pytest.raises(PermanentError) as caught:
        fetch(url, root, max_bytes, **rules)
    assert caught.value.hint
    return caught.value


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "in" / "photo ü 100%.jpg"
    path.parent.mkdir()
    path.write_bytes(b"pixels")
    return path


def test_a_path_and_its_file_url_give_the_same_bytes(photo):
    assert fetch(photo) == b"pixels"
    assert fetch(photo.as_uri()) == b"pixels"
    assert fetch(photo, root=photo.parent) == b"pixels"


def test_a_link_inside_the_root_is_followed_and_one_that_leaves_it_is_refused(photo, tmp_path):
    root = photo.parent
    (root / "alias.jpg").symlink_to(photo)
    assert fetch(root / "alias.jpg", root) == b"pixels"
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (root / "leak.jpg").symlink_to(secret)
    assert refusal(root / "leak.jpg", root).code == "source_outside_root"
    (root / "up").symlink_to(tmp_path)
    assert refusal(root / "up" / "secret", root).code == "source_outside_root"


@pytest.mark.parametrize(
    "way", ["{root}/../secret", "{root}2/secret", "file://{root}/%2e%2e/secret"]
)
def test_no_spelling_of_a_path_leads_out_of_the_root(tmp_path, way):
    root = tmp_path / "in"
    for folder in (root, tmp_path / "in2"):
        folder.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "in2" / "secret").write_bytes(b"secret")
    assert refusal(way.format(root=root), root).code == "source_outside_root"


def test_a_root_that_is_itself_a_link_still_holds_its_files(photo, tmp_path):
    (tmp_path / "linked").symlink_to(photo.parent)
    assert fetch(tmp_path / "linked" / photo.name, tmp_path / "linked") == b"pixels"


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path):
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte, sparse: reading it would not end
    error = refusal(huge, max_bytes=1000)
    assert isinstance(error, LimitError)
    assert error.code == "file_too_large"
    assert "1,000" in error.message


def test_a_file_of_just_the_limit_is_read(photo):
    assert fetch(photo, max_bytes=6) == b"pixels"
    assert refusal(photo, max_bytes=5).code == "file_too_large"


def test_a_named_pipe_is_refused_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    error = refusal(tmp_path / "pipe.jpg")
    assert error.code == "source_unreadable"
    assert "named pipe" in error.message


@pytest.mark.parametrize(
    ("path", "kind"), [("/dev/zero", "device"), ("/dev", "folder"), ("/dev/null", "device")]
)
def test_what_is_no_regular_file_is_refused(path, kind):
    error = refusal(path)
    assert error.code == "source_unreadable"
    assert kind in error.message


@pytest.mark.parametrize("name", ["missing.jpg", "photo.jpg/below", "nul\0.jpg"])
def test_a_file_that_is_not_there_is_not_found(tmp_path, name):
    (tmp_path / "photo.jpg").write_bytes(b"pixels")
    assert refusal(f"{tmp_path}/{name}").code == "source_not_found"


def test_a_chain_of_links_without_end_is_refused(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert refusal(tmp_path / "a").code in ("source_unreadable", "source_not_found")


def test_an_empty_file_is_refused_as_empty(tmp_path):
    (tmp_path / "empty.jpg").touch()
    assert refusal(tmp_path / "empty.jpg").code == "source_empty"


def test_a_file_without_permission_is_refused_with_whom_to_ask():
    # Below the system's temporary folder, which anyone may enter; run as a user who is not root.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        private = Path(folder) / "private.jpg"
        private.write_bytes(b"pixels")
        private.chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", OPEN_AS_NOBODY, str(private)],
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.startswith("source_unreadable let the worker's user read")


def test_other_schemes_are_refused_with_those_that_are_read():
    error = refusal("ftp://x/a")
    assert error.code == "source_scheme_unsupported"
    assert "s3://" in error.message


def test_only_folders_that_the_worker_opens_are_read(photo, tmp_path):
    (tmp_path / "in2").mkdir()
    (tmp_path / "in2" / "a.jpg").write_bytes(b"other")
    (photo.parent / "leak.jpg").symlink_to(tmp_path / "in2" / "a.jpg")
    places = f"/nowhere, {photo.parent}"
    assert fetch(photo, local=places) == b"pixels"
    assert fetch(photo.as_uri(), local=places) == b"pixels"
    for closed in (tmp_path / "in2" / "a.jpg", photo.parent / "leak.jpg", "/etc/hostname"):
        assert refusal(closed, local=places).code == "source_not_allowed"
    assert refusal(photo, local="deny").code == "source_not_allowed"
    assert refusal(photo, local="s3://in").code == "source_not_allowed"


@pytest.mark.parametrize(
    "url", ["s3://photos2/a.jpg", "s3://photos/ina.jpg", "s3://other/in/a.jpg"]
)
def test_only_buckets_and_prefixes_that_the_worker_opens_are_read(url):
    assert refusal(url, buckets="s3://photos/in,/srv").code == "source_not_allowed"
    assert refusal(url, buckets="deny").code == "source_not_allowed"


def test_a_link_swapped_in_after_the_check_is_not_followed(tmp_path, monkeypatch):
    """The swap happens at the worst moment: after the path was resolved and before it is opened."""
    inside, outside = tmp_path / "root" / "in", tmp_path / "secret"
    for folder, data in ((inside, b"pixels"), (outside, b"secret")):
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(data)
    resolve = os.path.realpath

    def swapped(path, **options):
        real = resolve(path, **options)
        if str(path) == str(inside / "a.jpg"):
            inside.rename(tmp_path / "moved")
            inside.symlink_to(outside)
        return real

    monkeypatch.setattr(os.path, "realpath", swapped)
    assert refusal(inside / "a.jpg", tmp_path / "root").code.startswith("source_")
    assert (inside / "a.jpg").read_bytes() == b"secret"


def test_a_file_url_of_another_host_is_refused():
    assert "three slashes" in refusal("file://server/share/a.jpg").hint


@pytest.mark.parametrize(
    ("url", "root"),
    [
        pytest.param("s3://bucket/a.jpg", "s3://bucket/in", id="beside"),
        pytest.param("s3://bucket/inside.jpg", "s3://bucket/in", id="same-start"),
        pytest.param("s3://other/in/a.jpg", "s3://bucket/in", id="other-bucket"),
        pytest.param("s3://bucket/in/../a.jpg", "s3://bucket/in", id="dots"),
        pytest.param("s3://bucket/a.jpg", "/srv/in", id="local-root"),
        pytest.param("/srv/in/a.jpg", "s3://bucket/in", id="local-source"),
    ],
)
def test_a_source_must_lie_below_its_root_in_buckets_too(url, root):
    assert refusal(url, root).code == "source_outside_root"
