"""An image from the web: guarded, redirects and all."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

from pixfleet.workers.errors import AddressError, SourceError, StoreUnavailableError

from .address import read_url
from .wire import exchange

if TYPE_CHECKING:
    from pixfleet.config.access import WebSettings

    from .address import Target
    from .wire import Answer

_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_GONE: Final = frozenset({404, 410})
_PASSING: Final = frozenset({408, 425, 429})
_SERVER_FAULT: Final = 500
_LONGEST_PAUSE_S: Final = 3600


def fetch_web(url: str, rules: WebSettings, *, max_bytes: int) -> bytes:
    """The body behind an ``https://`` (or allowed ``http://``) URL.

    Every redirect is checked like the URL itself; at most five, none from https to http.

    Raises:
        AddressError: the URL, a redirect or an address that it leads to is not open.
        SourceError: ``source_not_found`` (404, 410, no such host), ``source_untrusted``,
            ``source_unreadable`` (any other status; too many redirects; an encoded body).
        LimitError: ``file_too_large``.
        StoreUnavailableError: 408, 425, 429, 5xx, too slow, no connection; ``after_s`` is the
            server's Retry-After.
    """
    deadline = time.monotonic() + rules.timeout_s
    target = read_url(url, rules)
    for _ in range(_MOST_REDIRECTS + 1):
        answer = exchange(target, rules, deadline=deadline, max_bytes=max_bytes)
        if answer.status == http.client.OK:
            return answer.body
        if answer.status not in _REDIRECTS or "location" not in answer.headers:
            raise _failed(target, answer)
        url = _joined(url, answer.headers["location"])
        further = read_url(url, rules)
        if target.scheme == "https" and further.scheme == "http":
            raise AddressError(
                "url_refused",
                f"{target.url} redirects to {further.url}, which is not encrypted",
                "submit a URL that stays on https://",
            )
        target = further
    raise SourceError(
        "source_unreadable",
        f"{target.url}: more than {_MOST_REDIRECTS} redirects",
        "submit the URL that the redirects lead to",
    )


def retry_after_s(answer: Answer) -> float:
    """What a server asks to wait, in seconds; 0 where it does not, or gives a date."""
    said = answer.headers.get("retry-after", "")
    return min(float(said), _LONGEST_PAUSE_S) if said.isdecimal() and said.isascii() else 0


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location  # which read_url refuses with its reasons


def _failed(target: Target, answer: Answer) -> SourceError | StoreUnavailableError:
    status = answer.status
    said = f"{target.url} answered {status} {http.client.responses.get(status, '')}".rstrip()
    if status in _PASSING or status >= _SERVER_FAULT:
        return StoreUnavailableError(
            "source_unavailable",
            said,
            "see to the server; the job is tried again",
            retry_after_s(answer),
        )
    if status in _GONE:
        return SourceError("source_not_found", said, "check the URL")
    return SourceError(
        "source_unreadable",
        said,
        "workers send no credentials: open the image to them, for example by a presigned URL",
    )
