"""Webhooks as their receivers and the operators see them: verified, listed, called again."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from pixfleet.config import keys
from pixfleet.config.signature import is_signed, keys_of
from pixfleet.config.urls import shown

from .connection import answering

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import redis

_PAGE: Final = 500


class WebhookInvalidError(ValueError):
    """A request is no delivery of ours: not signed with the secret, altered, or too old."""


@dataclass(frozen=True, slots=True)
class WaitingWebhook:
    """A webhook that is to be called, or was given up."""

    job_id: str
    url: str
    """without its query"""
    tries: int
    """calls that failed"""
    at: float
    """UTC seconds: when it is called next, or was given up"""
    problem: str
    """of the last call"""


def verify_webhook(
    headers: Mapping[str, str], body: bytes | str, secret: str, tolerance_s: float = 300
) -> dict[str, Any]:
    """The document of a delivery, once its signature and age are checked.

    ``body`` is the request's, byte by byte: JSON that was parsed and written again has another
    signature. ``secret`` is ``PIXFLEET_WEBHOOK_SECRET``; several, comma-separated, each count. A
    delivery may come twice: keep ``webhook-id`` for ``tolerance_s`` and pass over what is known.

    Raises:
        WebhookInvalidError: a header is missing, the signature fits no secret, or the timestamp is
            more than ``tolerance_s`` from now.
        SecretInvalidError: the secret is none.
    """
    by_name = {name.lower(): value for name, value in headers.items()}
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    missing = [name for name in names if not by_name.get(name)]
    if missing:
        raise WebhookInvalidError(f"header missing: {', '.join(missing)}")
    event_id, timestamp, signatures = (by_name[name] for name in names)
    raw = body.encode() if isinstance(body, str) else body
    own = keys_of(secret)
    if not own:
        raise WebhookInvalidError("no secret to check the signature with")
    content = f"{event_id}.{timestamp}.".encode("utf-8", "surrogatepass") + raw
    if not is_signed(own, content, signatures):
        raise WebhookInvalidError(
            "webhook-signature fits no secret: another secret, or the body is not the request's own"
        )
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > tolerance_s:
        raise WebhookInvalidError(
            f"webhook-timestamp {timestamp[:20]} is more than {tolerance_s:g} s from now: "
            "replayed, or a clock is wrong"
        )
    return cast("dict[str, Any]", json.loads(raw))


def waiting_webhooks(client: redis.Redis, *, dead: bool) -> Iterator[WaitingWebhook]:
    """Webhooks that are to be called, the next first; or those that were given up, oldest first.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """
    start = 0
    while True:
        with answering(client):
            found = cast(
                "list[tuple[bytes, float]]",
                client.zrange(_set(dead=dead), start, start + _PAGE - 1, withscores=True),
            )
            pipe = client.pipeline(transaction=False)
            for job_id, _ in found:
                names = ["webhook", "webhook_tries", "webhook_problem"]
                pipe.hmget(keys.JOB + job_id.decode(), names)
            records = pipe.execute()
        for (job_id, at), (url, tries, problem) in zip(found, records, strict=True):
            if url is not None:  # else its record has expired
                yield WaitingWebhook(
                    job_id.decode(),
                    shown(url.decode()),
                    int(tries or 0),
                    at,
                    (problem or b"").decode(),
                )
        if len(found) < _PAGE:
            return
        start += _PAGE


def call_again(client: redis.Redis, job_id: str) -> bool:
    """A webhook that waits or was given up is called at once, with all its tries; False: none is.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """
    name = keys.JOB + job_id
    with answering(client):
        known = [client.zscore(_set(dead=dead), job_id) is not None for dead in (True, False)]
        if not any(known) or not client.hexists(name, "webhook"):
            return False
        pipe = client.pipeline()
        pipe.zrem(keys.WEBHOOKS_DEAD, job_id)
        pipe.zadd(keys.WEBHOOKS, {job_id: time.time()})
        pipe.hset(name, "webhook_tries", "0")
        pipe.persist(name)
        pipe.execute()
    return True


def _set(*, dead: bool) -> str:
    return keys.WEBHOOKS_DEAD if dead else keys.WEBHOOKS
