"""What EC2 says about this machine and its end: a client of its metadata service, version 2.

Source: EC2 user guide, "Instance metadata categories", "Spot Instance interruption notices" and
"rebalance recommendations". The last two are absent (404) until there is something to say.
"""

from __future__ import annotations

import datetime as dt
import functools
import http.client
import json
import os
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

ENDPOINT_VARIABLE: Final = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
DISABLED_VARIABLE: Final = "AWS_EC2_METADATA_DISABLED"
_ENDPOINT: Final = "http://169.254.169.254"
_TIMEOUT_S: Final = 1.0
_TOKEN_TTL_S: Final = 21_600
_MOST_BYTES: Final = 4_096
_INTERRUPTION: Final = "/latest/meta-data/spot/instance-action"
_REBALANCE: Final = "/latest/meta-data/events/recommendations/rebalance"
_ACTIONS: Final = ("terminate", "stop", "hibernate")
_KIND: Final = "/latest/meta-data/instance-type"
_LIFE_CYCLE: Final = "/latest/meta-data/instance-life-cycle"
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def metadata_service(watch: str) -> MetadataService | None:
    """The service to be asked under PIXFLEET_SPOT_WATCH; None: none. May take a second, once.

    Raises:
        MetadataError: the endpoint that the environment names is none.
    """
    named = os.environ.get(ENDPOINT_VARIABLE, "")
    disabled = os.environ.get(DISABLED_VARIABLE, "").lower() == "true"
    if watch == "off" or (watch == "auto" and disabled):
        return None
    return _service(named, sure=watch == "on" or bool(named))


@functools.cache  # who watches for notices and who prices the machine ask one service
def _service(named: str, *, sure: bool) -> MetadataService | None:
    service = MetadataService(named or _ENDPOINT)
    return service if sure or service.answers() else None


class MetadataError(RuntimeError):
    """The metadata service did not answer, or not as its documentation says."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """EC2 takes the machine away."""

    action: str
    """terminate, stop or hibernate"""
    at: dt.datetime
    """when it begins to, UTC"""


class MetadataService:
    """One machine's metadata service; asked directly, never through a proxy.

    Raises:
        MetadataError: the endpoint is none.
    """

    def __init__(self, endpoint: str = _ENDPOINT) -> None:
        try:
            place = urlsplit(endpoint)
            self._host, self._port = place.hostname or "", place.port
        except ValueError as error:
            raise MetadataError(f"{ENDPOINT_VARIABLE} is no URL: {error}") from None
        if place.scheme != "http" or not self._host:
            raise MetadataError(f"{ENDPOINT_VARIABLE} is not of the form http://host:port")
        self._token = ""

    def answers(self) -> bool:
        """Is there one? Asks for a token, for a second at most."""
        try:
            self._renew_token()
        except MetadataError:
            return False
        return True

    def kind(self) -> str:
        """The machine's instance type, such as ``c7i.large``.

        Raises:
            MetadataError: no answer, or no sense in it.
        """
        return self._word(_KIND)

    def life_cycle(self) -> str:
        """On which terms the machine runs: ``on-demand``, ``spot``, ``scheduled``, ...

        Raises:
            MetadataError: no answer, or no sense in it.
        """
        return self._word(_LIFE_CYCLE)

    def interruption(self) -> Interruption | None:
        """The notice of this machine's end, None while there is none.

        Raises:
            MetadataError: no answer, or no sense in it.
        """
        found = self._document(_INTERRUPTION)
        if found is None:
            return None
        action, at = found.get("action"), _time(found.get("time"))
        if action not in _ACTIONS or at is None:
            raise MetadataError(f"{_INTERRUPTION} answers with an action or time unknown here")
        return Interruption(action, at)

    def rebalance(self) -> dt.datetime | None:
        """When EC2 said that an interruption is likelier than usual, None while it has not.

        Raises:
            MetadataError: no answer, or no sense in it.
        """
        found = self._document(_REBALANCE)
        if found is None:
            return None
        at = _time(found.get("noticeTime"))
        if at is None:
            raise MetadataError(f"{_REBALANCE} answers without a time")
        return at

    def _word(self, path: str) -> str:
        word = (self._body(path) or b"").decode("ascii", "replace").strip()
        if not _WORD.fullmatch(word):
            raise MetadataError(f"{path} answers with something else than a word")
        return word

    def _document(self, path: str) -> dict[str, Any] | None:
        body = self._body(path)
        if body is None:
            return None
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise MetadataError(f"{path} answers with something else than a JSON object")
        return found

    def _body(self, path: str) -> bytes | None:
        if not self._token:
            self._renew_token()
        status, body = self._ask("GET", path, {"X-aws-ec2-metadata-token": self._token})
        if status == http.HTTPStatus.UNAUTHORIZED:
            self._renew_token()
            status, body = self._ask("GET", path, {"X-aws-ec2-metadata-token": self._token})
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        if status != http.HTTPStatus.OK:
            raise MetadataError(f"{path} answers with status {status}")
        return body

    def _renew_token(self) -> None:
        self._token = ""
        ttl = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_TTL_S)}
        status, body = self._ask("PUT", "/latest/api/token", ttl)
        token = body.decode("ascii", "replace").strip()
        if status != http.HTTPStatus.OK or not token or not token.isprintable():
            raise MetadataError(f"no token, status {status}")
        self._token = token

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            body = response.read(_MOST_BYTES + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise MetadataError(f"{path}: {error or type(error).__name__}") from None
        finally:
            connection.close()
        if len(body) > _MOST_BYTES:
            raise MetadataError(f"{path} answers with more than {_MOST_BYTES} bytes")
        return response.status, body


def _time(text: Any) -> dt.datetime | None:
    try:
        at = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)
