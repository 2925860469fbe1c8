"""Who gets an answer: the host that is named, the page that asks, and the headers that go with it.

One gate in front of every page, Flower's included, since Flower's own has gaps: without a password
it answers under any host's name (DNS rebinding), takes writes from any page in the browser where
FLOWER_UNAUTHENTICATED_API opens its API, and may be framed.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pixfleet.config.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tornado.httputil import HTTPServerRequest

LARGEST_BODY_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Access:
    """The gate.

    Attributes:
        authenticated: visitors need a password or a login; Flower's handlers ask for it.
        hosts: names, besides loopback's, under which it may be asked for.
    """

    authenticated: bool
    hosts: frozenset[str]

    @classmethod
    def of(cls, options: Any, hosts: Iterable[str]) -> Access:
        """The gate that Flower's options ask for.

        Raises:
            SettingsError: it would listen beyond loopback and ask nobody for a password.
        """
        authenticated = bool(options.basic_auth or options.auth)
        if not authenticated and not options.unix_socket and not _is_loopback(options.address):
            where = options.address or "every address of this machine"
            raise SettingsError(
                f"the dashboard would serve {where} to everyone without a password; set "
                "FLOWER_BASIC_AUTH=user:password or Flower's OAuth, or leave it on 127.0.0.1"
            )
        return cls(authenticated, frozenset(host.lower() for host in hosts))

    def refusal(self, request: HTTPServerRequest) -> str | None:
        """Why this request gets no answer; None where it does."""
        host = _name(request.host)
        if not self.authenticated and not _is_loopback_name(host) and host not in self.hosts:
            return (
                f"this dashboard does not answer under the name {host}: without a password only "
                "under localhost, 127.0.0.1 and those in PIXFLEET_MONITOR_DASHBOARD_HOSTS"
            )
        if not self._is_own(request):
            return "another site asked for this; open the dashboard itself"
        return None

    def _is_own(self, request: HTTPServerRequest) -> bool:
        """Did a page of ours ask, a program, or somebody who follows a link."""
        site = request.headers.get("Sec-Fetch-Site")
        if site is None:
            origin = request.headers.get("Origin")
            if origin is None:
                return True
            netloc = urlsplit(origin).netloc
            return netloc == request.host or (bool(netloc) and _name(netloc) in self.hosts)
        follows_link = (
            request.method in {"GET", "HEAD"}
            and request.headers.get("Sec-Fetch-Mode") == "navigate"
            and request.headers.get("Sec-Fetch-Dest") == "document"
        )
        return site in {"same-origin", "none"} or follows_link


def _name(netloc: str) -> str:
    """The host of ``host:port``, without brackets, in small letters."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _is_loopback_name(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_loopback(address: str) -> bool:
    if not address:
        return False
    try:
        found = socket.getaddrinfo(address, None)
    except OSError:
        return False
    return all(ip_address(str(entry[4][0]).split("%")[0]).is_loopback for entry in found)
