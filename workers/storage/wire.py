"""One HTTP exchange with a checked address, within its time.

Directly and with nothing of the worker's: no proxy, no cookie, no credential of the environment.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import os
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pixfleet.workers.errors import LimitError, SourceError, StoreUnavailableError, WorkError

from .address import resolve

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pixfleet.config.access import WebSettings

    from .address import Target

_CHUNK_BYTES: Final = 65_536
_AGENT: Final = "pixfleet"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    """empty unless the status is 200"""


def exchange(
    target: Target,
    rules: WebSettings,
    *,
    deadline: float,
    max_bytes: int,
    send: tuple[bytes, Mapping[str, str]] | None = None,
) -> Answer:
    """GET the target, or POST ``send`` (body, headers) to it.

    ``deadline`` is a time on the monotonic clock. Only a body of status 200 is read.

    Raises:
        AddressError: the host leads to an address that is not open.
        LimitError: ``file_too_large``: more than ``max_bytes``, counted while reading.
        SourceError: ``source_not_found``: no such host; ``source_untrusted``: its certificate;
            ``source_unreadable``: an encoded body.
        StoreUnavailableError: no connection, or it broke, or took too long.
    """
    with _translated(target, deadline):
        raw = _connected(target, rules, deadline)
        with raw:
            wire = _Timed(raw, deadline, rules.idle_s)
            # The class for http also where TLS is spoken: the socket that it is given does that.
            connection = http.client.HTTPConnection(target.host, target.port)
            connection.auto_open = 0
            connection.sock = wire  # pyright: ignore[reportAttributeAccessIssue]
            body, own_headers = send or (None, {})
            wire.arm()
            connection.request(
                "POST" if send else "GET",
                target.path,
                body=body,
                headers={
                    "Host": target.authority,
                    "User-Agent": _AGENT,
                    "Accept": "image/*, */*;q=0.5",
                    "Accept-Encoding": "identity",
                    "Connection": "close",
                    **own_headers,
                },
            )
            response = connection.getresponse()
            ok = response.status == http.client.OK
            data = _body(response, target, max_bytes) if ok and not send else b""
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, data)


class _Timed:
    """A socket as http.client uses one, each wait of which ends by the deadline."""

    def __init__(self, raw: socket.socket, deadline: float, idle_s: float) -> None:
        self._raw = raw
        self._deadline = deadline
        self._idle_s = idle_s

    def arm(self) -> None:
        """The next wait ends with the idle time or the deadline."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._raw.settimeout(min(left_s, self._idle_s))

    def sendall(self, data: bytes) -> None:
        self.arm()
        self._raw.sendall(data)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self, self._raw), _CHUNK_BYTES)

    def close(self) -> None:
        """Whoever connected closes."""


class _Reader(io.RawIOBase):
    def __init__(self, wire: _Timed, raw: socket.socket) -> None:
        super().__init__()
        self._wire = wire
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._wire.arm()
        return self._raw.recv_into(buffer)


def _connected(target: Target, rules: WebSettings, deadline: float) -> socket.socket:
    """A connection to the first checked address that answers, with TLS for https."""
    problem: OSError = TimeoutError()
    for address in resolve(target, rules):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            break
        try:
            raw = socket.create_connection(
                (str(address), target.port), timeout=min(left_s, rules.idle_s)
            )
        except OSError as error:
            problem = error
            continue
        if target.scheme == "http":
            return raw
        try:
            return _context(
                os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
            ).wrap_socket(raw, server_hostname=target.host)
        except BaseException:
            raw.close()
            raise
    raise problem


@functools.lru_cache(maxsize=4)
def _context(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Certificates as OpenSSL finds them; anew when the variables that name them change."""
    return ssl.create_default_context()


def _body(response: http.client.HTTPResponse, target: Target, max_bytes: int) -> bytes:
    encoding = response.getheader("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise SourceError(
            "source_unreadable",
            f"{target.url} came with Content-Encoding {encoding[:20]!r}, which was not asked for",
            "let the server send the image as it is",
        )
    promised = response.length
    if promised is not None and promised > max_bytes:
        raise _too_large(target, max_bytes)
    parts: list[bytes] = []
    size = 0
    while part := response.read(_CHUNK_BYTES):
        size += len(part)
        if size > max_bytes:
            raise _too_large(target, max_bytes)
        parts.append(part)
    if promised is not None and size < promised:
        raise http.client.IncompleteRead(b"", promised - size)
    return b"".join(parts)


def _too_large(target: Target, max_bytes: int) -> LimitError:
    return LimitError(
        "file_too_large",
        f"{target.url} has more bytes than the limit of {max_bytes:,}",
        "send a smaller file, or raise PIXFLEET_LIMITS_MAX_FILE_BYTES",
    )


@contextlib.contextmanager
def _translated(target: Target, deadline: float) -> Generator[None]:
    try:
        yield
    except WorkError:
        raise
    except ssl.SSLCertVerificationError as error:
        raise SourceError(
            "source_untrusted",
            f"{target.url}: the certificate is not trusted: {error.verify_message}",
            "mend the server's certificate; a CA of your own is named by SSL_CERT_FILE",
        ) from None
    except TimeoutError:
        late = time.monotonic() >= deadline
        said = "took longer than its time limit" if late else "did not go on for too long"
        raise _unavailable(target, f"the answer {said}") from None
    except http.client.IncompleteRead as error:
        raise _unavailable(target, f"the body ended {error.expected or 0} bytes early") from None
    except http.client.HTTPException as error:
        raise _unavailable(target, f"no HTTP answer ({type(error).__name__})") from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise _unavailable(target, reason) from None


def _unavailable(target: Target, reason: str) -> StoreUnavailableError:
    return StoreUnavailableError(
        "source_unavailable",
        f"{target.url} is not reachable now: {reason}",
        "see to the server and the network; the job is tried again",
    )
