"""Which URLs and addresses a job may lead to."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pixfleet.config.access import SourceSettings
from pixfleet.workers.errors import AddressError, SourceError, StoreUnavailableError
from pixfleet.workers.storage.address import is_open, read_url, resolve
from tests.web_server import resolving

PUBLIC = SourceSettings()
OPEN_HTTP = SourceSettings(allow_http=True)


def refusal(url: str, rules: SourceSettings = OPEN_HTTP) -> AddressError:
    with pytest.raises(AddressError) as caught:
        read_url(url, rules)
    assert caught.value.code == "url_refused"
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.0.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.127.255.255"),
        *("168.63.129.16", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
        *("192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("::ffff:8.8.8.8", "::ffff:127.0.0.1", "::8.8.8.8", "::127.0.0.1", "2002:808:808::1"),
        *("2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "64:ff9b::8.8.8.8"),
        *("64:ff9b::169.254.169.254", "64:ff9b:1::a00:1", "2001:db8::1", "3fff::1", "100::1"),
        *("2606:4700::5efe:7f00:1", "5f00::1", "4000::1", "2001:2::1"),
    ],
)
def test_an_address_that_is_not_plainly_public_is_closed(address):
    assert not is_open(ipaddress.ip_address(address), PUBLIC)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a00:1450::1"])
def test_a_public_address_is_open(address):
    assert is_open(ipaddress.ip_address(address), PUBLIC)


@given(st.ip_addresses())
@example(ipaddress.ip_address("100.64.0.1"))
def test_no_address_is_open_that_the_standard_library_holds_for_special(address):
    special = (
        *("is_private", "is_loopback", "is_link_local", "is_multicast", "is_reserved"),
        "is_unspecified",
    )
    if any(getattr(address, name) for name in special) or not address.is_global:
        assert not is_open(address, PUBLIC)
    elif address.version == 4 and str(address) != "168.63.129.16":
        relays = ("192.0.0.0/24", "192.88.99.0/24")
        assert is_open(address, PUBLIC) != any(
            address in ipaddress.ip_network(network) for network in relays
        )


@given(
    st.ip_addresses(v=4), st.sampled_from(["mapped", "compatible", "6to4", "nat64", "nat64-own"])
)
def test_no_spelling_of_an_ipv4_address_inside_ipv6_is_open(address, form):
    value = int(address)
    embedded = {
        "mapped": 0xFFFF << 32 | value,
        "compatible": value,
        "6to4": 0x2002 << 112 | value << 80,
        "nat64": 0x64FF9B << 96 | value,
        "nat64-own": 0x64FF9B0001 << 80 | value,
    }[form]
    assert not is_open(ipaddress.IPv6Address(embedded), PUBLIC)


@given(st.ip_addresses(v=4))
def test_an_open_private_network_opens_just_itself(address):
    rules = SourceSettings(allow_private="10.0.0.0/8,fd00::/8")
    inside = address in ipaddress.ip_network("10.0.0.0/8")
    assert is_open(address, rules) == (inside or is_open(address, PUBLIC))


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "::ffff:169.254.169.254"]
)
def test_metadata_services_stay_closed_whatever_is_opened(address):
    everything = SourceSettings(allow_private="0.0.0.0/0,::/0")
    assert not is_open(ipaddress.ip_address(address), everything)


def test_an_open_nat64_network_leads_only_where_ipv4_may_lead():
    rules = SourceSettings(allow_private="64:ff9b::/96")
    assert is_open(ipaddress.ip_address("64:ff9b::8.8.8.8"), rules)
    assert not is_open(ipaddress.ip_address("64:ff9b::10.0.0.1"), rules)
    assert not is_open(ipaddress.ip_address("64:ff9b::169.254.169.254"), rules)


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "1.2.3.4.5"),
        *("127.0.0.0x1", "017700000001", "0x7f.0x0.0x0.0x1", "0x", "1.2.3.256", "1.2.3.08"),
        *(
            "127。0。0。1",
            "\uff11\uff12\uff17.0.0.1",
            "①②⑦.0.0.1",
            "ex\u00adample.org",
            "bücher.example",
        ),
        *("[::1", "::1", "[::1%25eth0]", "[fe80::1%eth0]", "[127.0.0.1]", "[::ffff:1.2.3.4]x"),
        *(
            "",
            ".",
            "a..b",
            "-a.org",
            "a-.org",
            "a b.org",
            "a%2eb.org",
            "a.org%00",
            "a" * 64 + ".org",
        ),
        *("a,b.org", "a\\b.org", "a.org\\@b.org", "a.org#@b.org:1:2"),
    ],
)
def test_a_host_that_is_spelt_oddly_is_refused(host):
    if host == "127.0.0.1.":  # a root's dot is the one oddity that means just the same
        assert read_url(f"https://{host}/x", PUBLIC).host == "127.0.0.1"
    elif host == "a.org#@b.org:1:2":
        assert read_url(f"https://{host}/x", PUBLIC).host == "a.org"
    else:
        refusal(f"https://{host}/x")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://user@example.org/a",
            "https://user:hunter2@example.org/",
            "https://@example.org/",
        ),
        *("https://example.org:444/", "https://example.org:22/", "https://example.org:443443/"),
        *("http://example.org:443/", "https://example.org:80/", "https://example.org:/x:1@y:2/"),
        *("https://example.org/a\r\nX: y", "https://exa\tmple.org/", "https://example.org/a b"),
        *("https:/example.org/", "https:example.org", "https:///a", "//example.org/a"),
        *("file:///etc/passwd", "gopher://example.org/", "ftp://example.org/", "data:,x"),
        "https://example.org/" + "a" * 8_000,
    ],
)
def test_a_url_that_is_odd_or_asks_for_more_than_a_web_page_is_refused(url):
    if url == "https://example.org:/x:1@y:2/":  # an empty port is not a number
        refusal(url)
        return
    assert "hunter2" not in refusal(url).message


def test_what_a_url_may_say_reaches_the_request_unchanged_and_ascii():
    target = read_url("HTTPS://Example.ORG/a%2Fb/ü.jpg?x=1&sig=A%2B/=#top", PUBLIC)
    assert (target.scheme, target.host, target.port) == ("https", "example.org", 443)
    assert target.path == "/a%2Fb/%C3%BC.jpg?x=1&sig=A%2B/="
    assert target.authority == "example.org"
    assert "sig" not in target.url
    v6 = read_url("https://[2606:4700:0::1111]:443", PUBLIC)
    assert (v6.host, v6.authority, v6.path) == ("2606:4700::1111", "[2606:4700::1111]", "/")


def test_http_ports_and_hosts_open_by_settings_only():
    assert "PIXFLEET_SOURCES_ALLOW_HTTP" in refusal("http://example.org/", PUBLIC).hint
    assert read_url("http://example.org/", OPEN_HTTP).port == 80
    assert "PIXFLEET_SOURCES_PORTS" in refusal("https://example.org:8443/", PUBLIC).hint
    assert read_url("https://example.org:8443/", SourceSettings(ports="443,8443")).port == 8443
    some = SourceSettings(allowed_hosts="*.example.org, cdn.net")
    assert read_url("https://A.example.org/", some).host == "a.example.org"
    assert read_url("https://cdn.net/", some).host == "cdn.net"
    for host in ("example.org", "cdn.net.evil.com", "xcdn.net", "example.org.evil.com"):
        assert "PIXFLEET_SOURCES_ALLOWED_HOSTS" in refusal(f"https://{host}/", some).hint


def test_one_closed_address_among_open_ones_closes_the_host(monkeypatch):
    target = read_url("https://example.org/", PUBLIC)
    monkeypatch.setattr(socket, "getaddrinfo", resolving("8.8.8.8 2606:4700::1111 8.8.8.8"))
    assert [str(a) for a in resolve(target, PUBLIC)] == ["8.8.8.8", "2606:4700::1111"]
    for closed in ("127.0.0.1", "::ffff:8.8.4.4", "fe80::1%eth0", "nonsense"):
        monkeypatch.setattr(socket, "getaddrinfo", resolving(f"8.8.8.8 {closed}"))
        with pytest.raises(AddressError) as caught:
            resolve(target, PUBLIC)
        assert caught.value.code == "address_refused"
        assert closed not in caught.value.message + caught.value.hint
        assert "PIXFLEET_SOURCES_ALLOW_PRIVATE" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "kind"),
    [(socket.EAI_NONAME, SourceError), (socket.EAI_AGAIN, StoreUnavailableError)],
)
def test_a_host_that_is_unknown_is_for_good_and_a_resolver_that_is_away_is_not(
    monkeypatch, number, kind
):
    def getaddrinfo(*_, **__):
        raise socket.gaierror(number, "as the resolver says")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(kind):
        resolve(read_url("https://example.org/", PUBLIC), PUBLIC)
