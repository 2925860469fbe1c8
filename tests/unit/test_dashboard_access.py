"""Who has to bring a password, and under which names one's own dashboard is asked for."""

from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from pixfleet.config.settings import SettingsError
from pixfleet.workers.dashboard.access import Access

OWN = Access(authenticated=False, hosts=frozenset({"fleet.example.org"}))
WITH_PASSWORD = Access(authenticated=True, hosts=frozenset())


def options(**named):
    """As Flower's; none of them has a password unless it is named."""
    given = {"basic_auth": [], "auth": "", "unix_socket": "", "address": "127.0.0.1", **named}
    return SimpleNamespace(**given)


def request(host="localhost:5555", method="GET", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPServerRequest(
        start_line=RequestStartLine(method, "/", "HTTP/1.1"),
        headers=HTTPHeaders({"Host": host, **named}),
        connection=SimpleNamespace(),
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_password(address):
    assert not Access.of(options(address=address), ()).authenticated


def test_a_unix_socket_needs_no_password():
    assert not Access.of(options(address="", unix_socket="/run/pixfleet.sock"), ()).authenticated


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::", "192.0.2.7", "no-such-host.invalid"])
def test_any_other_address_does(address):
    with pytest.raises(SettingsError, match="FLOWER_BASIC_AUTH"):
        Access.of(options(address=address), ("fleet.example.org",))
    assert Access.of(options(address=address, basic_auth=["a:b"]), ()).authenticated
    assert Access.of(options(address=address, auth=r".*@example\.org"), ()).authenticated


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:5555",
        "pix.localhost",
        "127.0.0.1:5555",
        "[::1]:5555",
        "fleet.example.org",
    ],
)
def test_names_of_this_machine_are_answered(host):
    assert OWN.refusal(request(host)) is None


@pytest.mark.parametrize(
    "host",
    ["example.org", "localhost.example.org", "127.0.0.1.nip.io", "10.0.0.1", "[::2]:5555", "[", ""],
)
def test_names_that_a_stranger_may_point_here_are_not(host):
    assert "PIXFLEET_MONITOR_DASHBOARD_HOSTS" in OWN.refusal(request(host))
    assert WITH_PASSWORD.refusal(request(host)) is None, "a stranger's page has no password to send"


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "same-origin", "Origin": "https://fleet.example.org"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "http://localhost:5555"},
        {"Origin": "https://fleet.example.org"},
    ],
    ids=["program", "own page", "typed address", "own page, old browser", "proxy, old browser"],
)
def test_programs_and_our_own_pages_are_answered(method, headers):
    assert OWN.refusal(request(method=method, **headers)) is None


@pytest.mark.parametrize("access", [OWN, WITH_PASSWORD], ids=["open", "password"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
        {"Origin": "http://localhost:8000"},
        {"Origin": "null"},
    ],
    ids=["other site", "other port", "frame", "other port, old browser", "sandbox"],
)
def test_other_pages_are_not(access, headers):
    assert "another site" in access.refusal(request(**headers))


def test_a_link_from_elsewhere_opens_a_page_but_a_form_from_elsewhere_does_nothing():
    follows = {
        "Sec_Fetch_Site": "cross-site",
        "Sec_Fetch_Mode": "navigate",
        "Sec_Fetch_Dest": "document",
    }
    assert OWN.refusal(request(**follows)) is None
    assert OWN.refusal(request(method="POST", **follows))
