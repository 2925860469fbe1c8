"""The client of EC2's metadata service, against a stand-in on loopback."""

from __future__ import annotations

import datetime as dt
import socket
import time

import pytest

from pixfleet.workers.fleet.spot import MetadataError, MetadataService, metadata_service
from tests.metadata import ACTION, REBALANCE, Metadata


@pytest.fixture
def metadata():
    with Metadata() as running:
        yield running


@pytest.fixture
def service(metadata):
    return MetadataService(metadata.url)


def test_a_notice_is_read_with_one_token_for_all_questions(metadata, service):
    assert service.interruption() is None
    assert service.rebalance() is None
    metadata.interrupt(within_s=120, action="stop")
    metadata.recommend_rebalance()

    notice = service.interruption()

    assert notice.action == "stop"
    assert 118 < (notice.at - dt.datetime.now(dt.UTC)).total_seconds() <= 120
    assert service.rebalance() <= dt.datetime.now(dt.UTC)
    assert [status for method, _, status in metadata.asked if method == "PUT"] == [200]


def test_an_expired_token_is_renewed(metadata, service):
    metadata.interrupt(within_s=60)
    assert service.interruption()
    metadata.tokens.clear()

    assert service.interruption()
    assert (("GET", ACTION, 401)) in metadata.asked


@pytest.mark.parametrize("fault", ["500", "hang", "huge", "redirect"])
def test_an_answer_out_of_order_is_an_error_within_two_seconds(metadata, service, fault):
    metadata.fault = fault
    start_s = time.monotonic()

    with pytest.raises(MetadataError):
        service.interruption()

    assert time.monotonic() - start_s < 2


@pytest.mark.parametrize(
    "document",
    [
        *(b"", b"\xff\xfe", b"null", b"[1]", b"[" * 4_000, b'{"action": "terminate"}'),
        b'{"action": "terminate", "time": "soon"}',
        b'{"action": ["terminate"], "time": "2026-01-01T00:00:00Z"}',
        b'{"action": "explode", "time": "2026-01-01T00:00:00Z"}',
        b'{"action": "stop", "time": 1e400}',
    ],
    ids=lambda document: document[:24].decode("latin-1"),
)
def test_garbage_is_no_notice(metadata, service, document):
    metadata.documents = {ACTION: document, REBALANCE: document}

    with pytest.raises(MetadataError):
        service.interruption()
    with pytest.raises(MetadataError):
        service.rebalance()


def test_kind_and_life_cycle_are_read_as_the_words_they_are(metadata, service):
    metadata.describe("c7i.large", "spot\n")

    assert (service.kind(), service.life_cycle()) == ("c7i.large", "spot")


@pytest.mark.parametrize(
    "document", [None, b"", b"two words", b"<html>", b"\xff\xfe", b"x" * 100, b"-c7i"]
)
def test_what_is_no_word_is_no_kind_of_machine(metadata, service, document):
    if document is not None:
        metadata.documents["/latest/meta-data/instance-type"] = document

    with pytest.raises(MetadataError):
        service.kind()


@pytest.mark.parametrize("endpoint", ["169.254.169.254", "http://", "http://[::1", "http://h:x"])
def test_an_endpoint_that_is_none_is_named(endpoint):
    with pytest.raises(MetadataError, match="AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        MetadataService(endpoint)


def test_auto_asks_only_where_a_service_is_named_or_answers(metadata, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):  # never asked
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)

    assert metadata_service("off") is None
    assert metadata_service("auto").answers()
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert metadata_service("auto") is None
    assert metadata_service("on").answers()


def test_two_who_ask_share_one_service(metadata, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)

    assert metadata_service("auto") is metadata_service("auto")
    assert metadata_service("on") is metadata_service("auto")


def test_where_nobody_answers_there_is_no_service_within_two_seconds():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start_s = time.monotonic()

        assert not MetadataService(f"http://127.0.0.1:{silent.getsockname()[1]}").answers()

    assert time.monotonic() - start_s < 2
