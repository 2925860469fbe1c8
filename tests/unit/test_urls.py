"""What of a URL is shown, and the file name that it gives."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixfleet.config.contract import ImageJob
from pixfleet.config.urls import file_name, shown
from pixfleet.workers.storage.objects import is_inside


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/srv/a?b.jpg", "/srv/a?b.jpg"),
        ("s3://bucket/a?b.jpg", "s3://bucket/a?b.jpg"),
        ("https://example.org/a.jpg", "https://example.org/a.jpg"),
        ("https://example.org/a.jpg#top", "https://example.org/a.jpg"),
        ("https://u:p@example.org/a.jpg", "https://example.org/a.jpg"),
        ("https://u@p@example.org/a.jpg", "https://example.org/a.jpg"),
        ("ftp://u:p@example.org/a.jpg", "ftp://example.org/a.jpg"),
        ("file:///srv/a?b.jpg", "file:///srv/a?b.jpg"),
        ("https://example.org?a=b", "https://example.org?sha256=42144f3939c3"),
        ("HTTPS://example.org/x?sig=1?2#3", "https://example.org/x?sha256=16e6eca2b0e1"),
    ],
)
def test_a_url_is_shown_without_user_and_query(url, expected):
    assert shown(url) == expected


def test_two_queries_are_told_apart_by_what_is_shown():
    first, second = (shown(f"https://example.org/image?id={n}") for n in (1, 2))
    assert first != second
    assert shown("https://example.org/image?id=1") == first


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.org/in/cat.jpg", "cat.jpg"),
        ("https://example.org/in/cat.jpg?v=2#x", "cat.jpg"),
        ("https://example.org/in/cat.jpg/", "cat.jpg"),
        ("https://example.org/a%20b%C3%BC.jpg", "a bü.jpg"),
        ("https://example.org/", "image"),
        ("https://example.org", "image"),
        ("https://example.org/..", "image"),
        ("https://example.org/%2e%2e", "image"),
        ("https://example.org/..%2f..%2fetc", "_._.._etc"),
        ("https://example.org/%252e%252e%252f", "%2e%2e%2f"),
        ("https://example.org/a%5c..%5cb", "a_.._b"),
        ("https://example.org/%00a%0a%1b[31m", "_a__[31m"),
        ("https://example.org/a.jpg%00.png", "a.jpg_.png"),
        ("https://example.org/a.jpg...", "a.jpg"),
        ("https://example.org/a.jpg%20.", "a.jpg"),
        ("https://example.org/.htaccess", "_htaccess"),
        ("https://example.org/con", "_con"),
        ("https://example.org/NUL.tar.gz", "_NUL.tar.gz"),
        ("https://example.org/com1.jpg", "_com1.jpg"),
        ("https://example.org/console.jpg", "console.jpg"),
        ("https://example.org/c:stream", "c_stream"),
        ("https://example.org/%e2%80%aegpj.exe", "_gpj.exe"),
        ("https://example.org/%ff%fe.jpg", "\ufffd\ufffd.jpg"),
    ],
)
def test_a_url_gives_a_plain_file_name(url, name):
    assert file_name(url) == name
    assert ImageJob(source=url, output="/out").output_name == name


def test_a_long_name_is_cut_and_keeps_its_suffix():
    name = file_name("https://example.org/" + "%C3%BC" * 300 + ".jpeg")
    assert name
    assert 140 <= len(name.encode()) <= 150
    assert name.endswith("ü.jpeg")
    assert len((file_name("https://example.org/a." + "b" * 400) or "").encode()) <= 150


def test_a_name_that_was_given_counts_and_other_sources_keep_theirs():
    given_name = ImageJob(source="https://example.org/a.jpg", output="/out", name="x/y.jpg")
    assert given_name.output_name == "x/y.jpg"
    assert ImageJob(source="/srv/a%20b.jpg", output="/out").output_name == "a%20b.jpg"
    assert file_name("s3://bucket/a.jpg") is None


@given(st.text())
def test_no_url_gives_a_name_that_leads_elsewhere(text):
    name = file_name(f"https://example.org/{text}")
    assert name
    assert name == PurePosixPath(name).name
    assert is_inside(f"{name}/manifest.json")
    assert len(name.encode()) <= 150
