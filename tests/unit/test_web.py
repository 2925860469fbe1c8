"""Images from the web, against a server on loopback that does what servers should not."""

from __future__ import annotations

import itertools
import socket
import struct
import time

import pytest

from pixfleet.config.access import SourceSettings
from pixfleet.workers.errors import (
    AddressError,
    LimitError,
    SourceError,
    StoreUnavailableError,
    WorkError,
)
from pixfleet.workers.storage.guard import open_source
from tests.web_server import make_certificates, resolving, serving


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(
        tmp_path_factory.mktemp("ca"), "photos.example.org", "127.0.0.1", "cdn.example.org"
    )


@pytest.fixture
def server(certificates, monkeypatch):
    ca, own = certificates
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    with serving(own) as running:
        yield running


def rules(server, **more) -> SourceSettings:
    given = {"allow_private": "127.0.0.0/8", "ports": str(server.port), **more}
    return SourceSettings(**given)


def fetch(server, path="/a.jpg", *, host="127.0.0.1", root=None, max_bytes=1_000_000, **more):
    url = path if "://" in path else server.url(path, host)
    return open_source(url, root=root, max_bytes=max_bytes, rules=rules(server, **more))


def refusal(server, path="/a.jpg", **more) -> WorkError:
    with pytest.raises(WorkError) as caught:
        fetch(server, path, **more)
    assert caught.value.hint
    assert "hunter2" not in caught.value.message
    return caught.value


def test_an_image_comes_over_https_with_the_hosts_name_checked(server, monkeypatch):
    server.routes["/a.jpg"] = lambda handler: handler.answer(200, b"pixels")
    monkeypatch.setattr(socket, "getaddrinfo", resolving("127.0.0.1"))
    assert fetch(server, host="photos.example.org") == b"pixels"
    error = refusal(server, host="other.example.org")
    assert (error.code, type(error)) == ("source_untrusted", SourceError)
    (request,) = server.requests
    assert request[1]["host"] == f"photos.example.org:{server.port}"


def test_a_certificate_of_an_unknown_authority_is_refused(server, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    assert refusal(server).code == "source_untrusted"
    assert not server.requests


def test_nothing_of_the_workers_environment_goes_along(server, monkeypatch, tmp_path):
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login user password hunter2\n")
    for name, value in {
        "HOME": str(tmp_path),
        "NETRC": str(netrc),
        "https_proxy": "http://127.0.0.1:1",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    server.routes["/a.jpg"] = lambda handler: handler.answer(200, b"x", Set_Cookie="id=7")
    fetch(server)
    fetch(server)
    for _, headers, body in server.requests:
        assert body == b""
        assert set(headers) == {"host", "user-agent", "accept", "accept-encoding", "connection"}


def test_a_private_address_is_closed_unless_its_network_is_opened(server):
    error = refusal(server, allow_private="")
    assert (error.code, type(error)) == ("address_refused", AddressError)
    assert not server.requests


def test_the_connection_goes_to_the_address_that_was_checked(server, monkeypatch):
    """DNS rebinding: a second look-up would lead to an address that is closed."""
    server.routes["/a.jpg"] = lambda handler: handler.answer(200, b"pixels")
    asked = []
    answers = resolving("127.0.0.1", "10.0.0.1")

    def counting(host, *more, **options):
        asked.append(host)
        return answers(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", counting)
    assert fetch(server, host="photos.example.org") == b"pixels"
    assert asked.count("photos.example.org") == 1
    assert refusal(server, host="photos.example.org").code == "address_refused"


def test_an_address_that_does_not_answer_gives_way_to_the_next(server, monkeypatch):
    server.routes["/a.jpg"] = lambda handler: handler.answer(200, b"pixels")
    monkeypatch.setattr(socket, "getaddrinfo", resolving("127.0.0.9 127.0.0.1"))
    assert fetch(server, host="photos.example.org") == b"pixels"


def test_redirects_are_followed_five_times_at_most(server):
    for step in range(7):
        there = f"/{step + 1}" if step % 2 else server.url(f"/{step + 1}")
        server.routes[f"/{step}"] = lambda handler, there=there: handler.answer(302, Location=there)
    server.routes["/7"] = lambda handler: handler.answer(200, b"pixels")
    assert fetch(server, "/2") == b"pixels"
    error = refusal(server, "/1")
    assert error.code == "source_unreadable"
    assert "redirects" in error.message


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("https://169.254.169.254/latest/meta-data/", "address_refused"),
        ("https://[::ffff:169.254.169.254]/", "address_refused"),
        ("https://10.0.0.1/", "address_refused"),
        ("//[fd00:ec2::254]/", "address_refused"),
        ("https://2130706433/", "url_refused"),
        ("https://user:hunter2@photos.example.org/", "url_refused"),
        ("file:///etc/passwd", "url_refused"),
        ("https://[", "url_refused"),
        ("http://127.0.0.1:{port}/b.jpg", "url_refused"),
    ],
)
def test_a_redirect_is_checked_like_the_url_itself(server, location, code):
    there = location.format(port=server.port)
    server.routes["/a.jpg"] = lambda handler: handler.answer(307, Location=there)
    more = {"ports": f"{server.port},443", "allow_http": True}
    error = refusal(server, **more)
    assert (error.code, type(error)) == (code, AddressError)
    assert len(server.requests) == 1


def test_a_redirect_that_goes_round_ends(server):
    server.routes["/a.jpg"] = lambda handler: handler.answer(301, Location="/a.jpg")
    assert refusal(server).code == "source_unreadable"
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "source_not_found", SourceError),
        (410, "source_not_found", SourceError),
        (401, "source_unreadable", SourceError),
        (403, "source_unreadable", SourceError),
        (204, "source_unreadable", SourceError),
        (206, "source_unreadable", SourceError),
        (304, "source_unreadable", SourceError),
        (408, "source_unavailable", StoreUnavailableError),
        (429, "source_unavailable", StoreUnavailableError),
        (500, "source_unavailable", StoreUnavailableError),
        (503, "source_unavailable", StoreUnavailableError),
    ],
)
def test_a_status_says_whether_another_try_is_worth_it(server, status, code, kind):
    server.routes["/a.jpg"] = lambda handler: handler.answer(status, Retry_After="17")
    error = refusal(server, "/a.jpg?token=hunter2")
    assert (error.code, type(error)) == (code, kind)
    assert str(status) in error.message
    if kind is StoreUnavailableError:
        assert error.after_s == 17


def test_a_server_that_is_away_is_asked_again_later(server):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    error = refusal(server, f"https://127.0.0.1:{port}/", ports=str(port))
    assert (error.code, type(error)) == ("source_unavailable", StoreUnavailableError)
    assert "refused" in error.message


def test_a_body_is_counted_while_it_comes_whatever_was_promised(server):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.drip(itertools.repeat(bytes(50_000)), 0)

    def chunked(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.drip(itertools.repeat(b"fff\r\n" + bytes(0xFFF) + b"\r\n"), 0)

    def promised(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000001")
        handler.end_headers()
        handler.drip(itertools.repeat(b"x"), 0.1)

    for route in (endless, chunked, promised):
        server.routes["/a.jpg"] = route
        error = refusal(server)
        assert (error.code, type(error)) == ("file_too_large", LimitError), route
        assert "1,000,000" in error.message


def test_a_body_that_ends_early_is_no_image_but_a_broken_connection(server):
    server.routes["/a.jpg"] = lambda handler: handler.answer(200, b"half", Content_Length="8")
    error = refusal(server)
    assert (error.code, type(error)) == ("source_unavailable", StoreUnavailableError)
    assert "4 bytes early" in error.message


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_an_encoded_body_is_refused_before_it_can_unfold(server, encoding):
    server.routes["/a.jpg"] = lambda handler: handler.answer(
        200, bytes(100), Content_Encoding=encoding
    )
    assert refusal(server).code == "source_unreadable"


def test_an_empty_body_is_an_empty_source(server):
    server.routes["/a.jpg"] = lambda handler: handler.answer(200)
    assert refusal(server).code == "source_empty"


def _slow_headers(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    handler.drip((f"X-{n}: y\r\n".encode() for n in itertools.count()), 0.05)


def _slow_letters(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    handler.drip(itertools.repeat(b"x"), 0.05)


def _slow_body(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.drip(itertools.repeat(b"x"), 0.05)


def _still(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.drip(iter([b"x", b"y"]), 20)


def _continue(handler):
    handler.drip(itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"), 0.01)


@pytest.mark.parametrize(
    ("route", "limits"),
    [
        pytest.param(_slow_headers, {"timeout_s": 1}, id="headers"),
        pytest.param(_slow_letters, {"timeout_s": 1}, id="one-header"),
        pytest.param(_slow_body, {"timeout_s": 1}, id="body"),
        pytest.param(_continue, {"timeout_s": 1}, id="continue"),
        pytest.param(_still, {"idle_s": 0.5}, id="silence"),
        pytest.param(_still, {"timeout_s": 0.5}, id="silence-at-the-end"),
        pytest.param(lambda _: time.sleep(3), {"idle_s": 0.5}, id="no-answer"),
    ],
)
def test_a_server_that_is_slow_on_purpose_holds_nobody_up(server, route, limits):
    server.routes["/a.jpg"] = route
    began = time.monotonic()
    error = refusal(server, **limits)
    assert time.monotonic() - began < 2.5  # of 20 that the server would have taken
    assert (error.code, type(error)) == ("source_unavailable", StoreUnavailableError)


def test_a_server_that_takes_the_connection_and_speaks_no_tls_holds_nobody_up(server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error = refusal(server, f"https://127.0.0.1:{port}/", ports=str(port), idle_s=0.3)
    assert type(error) is StoreUnavailableError


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", id="another-protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", id="many-headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", id="long-header"),
        pytest.param(b"HTTP/1.1 2e2 OK\r\n\r\n", id="no-status"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", id="no-chunk"
        ),
    ],
)
def test_an_answer_that_is_no_http_is_a_server_that_is_away(server, answer):
    server.routes["/a.jpg"] = lambda handler: handler.wfile.write(answer)
    assert type(refusal(server)) is StoreUnavailableError


def test_a_connection_that_is_reset_is_a_server_that_is_away(server):
    def reset(handler):
        raw = handler.connection
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()

    server.routes["/a.jpg"] = reset
    assert type(refusal(server)) is StoreUnavailableError


def test_a_root_of_the_web_holds_what_lies_below_it(server):
    server.routes["/in/a.jpg"] = lambda handler: handler.answer(200, b"pixels")
    assert fetch(server, "/in/a.jpg", root=server.url("/in")) == b"pixels"
    for root in (server.url("/in2"), "/srv/in", "s3://bucket/in"):
        assert refusal(server, "/in/a.jpg", root=root).code == "source_outside_root"


def test_http_is_read_where_it_is_allowed_and_nowhere_else(certificates):
    with serving() as server:
        server.routes["/a.jpg"] = lambda handler: handler.answer(200, b"pixels")
        assert fetch(server, allow_http=True) == b"pixels"
        assert refusal(server).code == "url_refused"
    del certificates
