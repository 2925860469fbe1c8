"""The ways by which people hear of budgets: the log, and a webhook that Slack understands too."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.client
import json
import time
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

import structlog

from pixfleet.config.access import WebSettings
from pixfleet.config.signature import signed_headers
from pixfleet.config.urls import shown, split_web
from pixfleet.workers.errors import WorkError
from pixfleet.workers.storage.address import read_url
from pixfleet.workers.storage.web import retry_after_s
from pixfleet.workers.storage.wire import exchange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixfleet.config.alerts import AlertSettings

    from .event import BudgetEvent

_log = structlog.get_logger(__name__)
_EVERYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))


class ChannelError(Exception):
    """Nobody was told; ``problem`` says why, ``mend`` what to do; neither holds a secret."""

    def __init__(self, problem: str, mend: str, wait_s: float = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.mend = mend
        self.wait_s = wait_s
        """seconds that the other side asks to wait"""


class Channel(Protocol):
    """One way to tell; made anew for each process."""

    name: str

    def tell(self, events: Sequence[BudgetEvent]) -> None:
        """Tell them all, the oldest first; takes no longer than the time limit.

        Raises:
            ChannelError: it is not known whether any was told.
        """
        ...


def channels_of(settings: AlertSettings) -> list[Channel]:
    """The channels that are configured; the log always is."""
    found: list[Channel] = [LogChannel()]
    if settings.webhook.get_secret_value():
        found.append(WebhookChannel(settings))
    if settings.sns_topic or settings.cloudwatch:
        from . import aws_channels as aws  # noqa: PLC0415 (boto3: only where it is used)

        if settings.sns_topic:
            found.append(aws.SnsChannel(settings))
        if settings.cloudwatch:
            found.append(aws.CloudWatchChannel(settings))
    return found


class LogChannel:
    """A line in the log of the process that tells."""

    name = "log"

    def tell(self, events: Sequence[BudgetEvent]) -> None:
        """Cannot fail."""
        for event in events:
            bad = event.kind == "forecast" or event.rung != "normal"
            (_log.warning if bad else _log.info)(
                f"budget.{event.kind}", text=event.text, **event.document()
            )


class WebhookChannel:
    """POSTs JSON: ``text`` for people, as Slack takes it, and ``data`` for programs."""

    name = "webhook"

    def __init__(self, settings: AlertSettings) -> None:
        self._url = settings.webhook.get_secret_value()
        self._keys = settings.keys
        self._timeout_s = settings.timeout_s

    def tell(self, events: Sequence[BudgetEvent]) -> None:
        """One request, whatever the number of events; redirects are not followed."""
        document = {
            "text": "\n".join(event.text for event in events),
            "type": "budget.events",
            "timestamp": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "data": {"events": [event.document() for event in events]},
        }
        body = json.dumps(document, separators=(",", ":")).encode()
        headers = signed_headers(delivery_id(events), int(time.time()), body, self._keys)
        # The operator names the address, so it may be anywhere but at the machine's credentials.
        port = urlsplit(self._url).port
        rules = WebSettings.model_construct(
            allow_private=_EVERYWHERE,
            allow_http=True,
            ports=(port,) if port else (),
            idle_s=self._timeout_s,
        )
        # Slack's secret is in the path, so no message may hold more than the host.
        where = "://".join((split_web(self._url) or ("", ""))[:2])
        try:
            answer = exchange(
                read_url(self._url, rules),
                rules,
                deadline=time.monotonic() + self._timeout_s,
                max_bytes=0,
                send=(body, headers),
            )
        except WorkError as error:
            said = error.message.replace(shown(self._url), where)
            mend = "see to PIXFLEET_ALERTS_WEBHOOK, and to the receiver"
            raise ChannelError(said, mend) from None
        if not http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES:
            raise ChannelError(
                f"{where} answered {answer.status}",
                "see to the receiver; a Slack webhook that is gone is made anew in Slack's settings"
                if answer.status in (http.client.NOT_FOUND, http.client.GONE, http.client.FORBIDDEN)
                else "see to the receiver and its log",
                retry_after_s(answer),
            )


def delivery_id(events: Sequence[BudgetEvent]) -> str:
    """The same for the same events: a receiver can drop what comes twice."""
    if len(events) == 1:
        return events[0].id
    return hashlib.sha256("\n".join(event.id for event in events).encode()).hexdigest()
