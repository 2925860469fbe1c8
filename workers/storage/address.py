"""Which addresses of the web a job may lead to.

A URL is taken apart strictly: parsers that differ on what a URL means are how a guard and a client
come to talk about different hosts. Then every address of the host is checked, and the connection is
made to a checked address, not to the name again.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pixfleet.config.urls import shown, split_web
from pixfleet.workers.errors import AddressError, SourceError, StoreUnavailableError

if TYPE_CHECKING:
    from pixfleet.config.access import WebSettings

Address = IPv4Address | IPv6Address

_METADATA: Final = frozenset(
    ip_address(text)
    for text in (
        *("169.254.169.254", "fd00:ec2::254"),  # EC2, Azure, Google, OpenStack
        *("169.254.170.2", "169.254.170.23", "fd00:ec2::23"),  # credentials of ECS and EKS
        *("169.254.169.253", "fd00:ec2::253"),  # resolver of a VPC
        *("168.63.129.16", "100.100.100.200", "192.0.0.192"),  # Azure's, Alibaba's, Oracle's own
        "fd20:ce::254",  # Google over IPv6
    )
)
"""Services that hand a machine its credentials: closed whatever else is open."""
_SPECIAL: Final = tuple(
    ip_network(text)
    for text in (
        *("192.0.0.0/24", "2001::/23"),  # protocols of the IETF
        *("192.88.99.0/24", "3fff::/20"),  # relays of 6to4; examples
    )
)
"""Not public, and not to every Python known as such."""
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE: Final = IPv6Network("::/96")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LONGEST_HOST: Final = 253
_LONGEST_URL: Final = 8_000
_MOST_ADDRESSES: Final = 32
_PORTS: Final = {"https": 443, "http": 80}
_SAFE: Final = "%/:@!$&'()*+,;=~?"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that was taken apart and may be asked for, if its host's addresses may."""

    scheme: str
    host: str
    """lower-case name, or an address without brackets"""
    port: int
    path: str
    """path and query as they go into the request, ASCII"""
    url: str
    """as messages may show it"""

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def read_url(url: str, rules: WebSettings) -> Target:
    """The parts of an ``https://`` (or allowed ``http://``) URL.

    Raises:
        AddressError: ``url_refused``: an odd spelling, a user or password, a port or host that is
            not allowed; says how to mend it.
    """
    if len(url) > _LONGEST_URL:
        raise _refused(f"{shown(url)[:80]}… is too long", f"at most {_LONGEST_URL:,} characters")
    parts = split_web(url)
    safe = shown(url)
    if parts is None or re.search(r"[\x00-\x20\x7f\\]", url.strip(" ")):
        raise _refused(
            f"{safe!r} is no URL of the web",
            "write https://host/path, control characters, spaces and backslashes percent-encoded",
        )
    scheme, authority, path, query = parts
    if scheme == "http" and not rules.allow_http:
        raise _refused(
            f"{safe} is not encrypted", f"use https://, or set {_name(rules, 'allow_http')}"
        )
    if "@" in authority:
        raise _refused(
            f"{safe} holds a user or password",
            "leave them out; give access by a presigned URL, or copy the image to a bucket",
        )
    host, port = _host_and_port(authority, scheme, safe)
    if port not in (rules.ports or (_PORTS[scheme],)):
        raise _refused(f"{safe}: port {port} is closed", f"add it to {_name(rules, 'ports')}")
    _check_allowed(host, rules, safe)
    target = quote(path or "/", safe=_SAFE.replace("?", ""))
    if query:
        target += "?" + quote(query, safe=_SAFE)
    return Target(scheme, host, port, target, safe)


def resolve(target: Target, rules: WebSettings) -> list[Address]:
    """The addresses of the target's host, asked for once, all of them open.

    Raises:
        AddressError: ``address_refused``: one of them is not.
        SourceError: ``source_not_found``: there is no such host.
        StoreUnavailableError: the name could not be looked up now.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            raise SourceError(
                "source_not_found", f"{target.url}: no such host", "check the host's name"
            ) from None
        raise StoreUnavailableError(
            "source_unavailable",
            f"{target.url}: the host's name could not be looked up: {error.strerror}",
            "see to the worker's DNS; the job is tried again",
        ) from None
    except UnicodeError:
        raise _refused(f"{target.url}: the host is no name", "check the host's name") from None
    addresses: list[Address] = []
    for *_, place in found[:_MOST_ADDRESSES]:
        text = str(place[0])
        try:
            address = ip_address(text)
        except ValueError:
            raise _closed(target, rules) from None
        if not is_open(address, rules):
            raise _closed(target, rules)
        if address not in addresses:
            addresses.append(address)
    return addresses


def is_open(address: Address, rules: WebSettings) -> bool:
    """May a job be led to the address: a public one, or in a network that is allowed.

    An IPv6 address that embeds an IPv4 address is closed; where its network is allowed (NAT64 in a
    network without IPv4), what it embeds has to be open too.
    """
    if address in _METADATA:
        return False
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    allowed = any(address in network for network in rules.allow_private)
    if isinstance(address, IPv4Address):
        return allowed or _is_public(address)
    embedded = embedded_ipv4(address)
    if embedded:
        return allowed and all(is_open(inner, rules) for inner in embedded)
    return allowed or _is_public(address)


def embedded_ipv4(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """IPv4 addresses that an IPv6 address leads to.

    Mapped, 6to4, Teredo, NAT64, ISATAP, and compatible ones (``::`` and ``::1`` are none).
    """
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    value = int(address)
    last = IPv4Address(value & 0xFFFFFFFF)
    isatap = (value >> 32) & 0xFFFFFFFF in _ISATAP
    if isatap or any(address in network for network in _NAT64):
        return (last,)
    if address in _COMPATIBLE and value > 1:
        return (last,)
    return ()


def _is_public(address: Address) -> bool:
    special = (
        any(address in network for network in _SPECIAL)
        or address.is_private
        or address.is_reserved
        or address.is_multicast
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
    )
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return False
    return address.is_global and not special


def _host_and_port(authority: str, scheme: str, safe: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{1,5}))?", authority)
    if found is None:
        raise _refused(f"{safe}: the host cannot be read", "write https://host/path")
    host, port_text = found.groups()
    port = int(port_text) if port_text else _PORTS[scheme]
    if host.startswith("["):
        return _literal_v6(host[1:-1], safe), port
    return _name_or_v4(host, safe), port


def _literal_v6(text: str, safe: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        raise _refused(f"{safe}: no IPv6 address in the brackets", "write the address") from None
    if address.scope_id is not None:
        raise _refused(f"{safe} names a zone", "leave out % and what follows it")
    return str(address)


def _name_or_v4(host: str, safe: str) -> str:
    name = host.removesuffix(".").lower()
    if not name.isascii():
        raise _refused(
            f"{safe}: the host is not ASCII", "write an international name as xn--…, dots as '.'"
        )
    labels = name.split(".")
    if len(name) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused(f"{safe}: the host is no name", "check the host's name")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        # Resolvers read 2130706433, 0x7f.1 and 0177.0.0.1 as addresses; only one spelling is ours.
        try:
            return str(IPv4Address(name))
        except AddressValueError:
            raise _refused(
                f"{safe}: an unusual spelling of an address", "write four decimal numbers"
            ) from None
    return name


def _check_allowed(host: str, rules: WebSettings, safe: str) -> None:
    wanted = [pattern.lower() for pattern in rules.allowed_hosts]
    if wanted and not any(fnmatchcase(host, pattern) for pattern in wanted):
        raise _refused(
            f"{safe}: the host is not allowed", f"add it to {_name(rules, 'allowed_hosts')}"
        )


def _name(rules: WebSettings, field: str) -> str:
    return f"{rules.model_config.get('env_prefix', '')}{field}".upper()


def _refused(message: str, hint: str) -> AddressError:
    return AddressError("url_refused", message, hint)


def _closed(target: Target, rules: WebSettings) -> AddressError:
    # Without the address itself, which would map the worker's network to strangers.
    return AddressError(
        "address_refused",
        f"{target.url}: the host leads to an address that is not public",
        f"use a public host; if this one is meant, add its network to "
        f"{_name(rules, 'allow_private')}",
    )
