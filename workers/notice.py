"""Telling a webhook's receiver that a job has ended, in the form of Standard Webhooks."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import random
import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from pixfleet.config.signature import signed_headers

from .errors import AddressError, WorkError
from .fleet.webhooks import Call, Outbox
from .storage.address import read_url
from .storage.web import retry_after_s
from .storage.wire import exchange

if TYPE_CHECKING:
    from pixfleet.config.access import WebhookSettings
    from pixfleet.config.results import Manifest

    from .runtime import Runtime

_log = structlog.get_logger(__name__)
_FAILURES_TOLD: Final = 10


def deliver(runtime: Runtime, job_id: str) -> None:
    """Call the job's webhook, and write down what became of it.

    Raises:
        LedgerUnavailableError: Redis did not answer; the call is made again later.
    """
    outbox, settings = Outbox(runtime.ledger), runtime.settings.webhook
    call = outbox.take(job_id, settings.timeout_s)
    if call is None:
        return
    body = document(call, runtime.ledger.manifest(job_id), settings.max_body_bytes)
    problem, for_good, wait_s = _called(call, body, settings)
    if not problem:
        outbox.settle(call, "delivered")
        _log.info("webhook.delivered", job_id=job_id, tries=call.tries + 1)
    elif for_good or call.tries + 1 >= settings.tries:
        outbox.settle(call, "dead", problem)
        _log.warning("webhook.given_up", job_id=job_id, tries=call.tries + 1, problem=problem)
    else:
        outbox.settle(call, "later", problem, max(wait_s, pause_s(call.tries, settings)))
        _log.info("webhook.failed", job_id=job_id, tries=call.tries + 1, problem=problem)


def pause_s(tries: int, settings: WebhookSettings) -> float:
    """Seconds until the next try: from ``first_s`` evenly up to ``most_s``, jittered by half."""
    steps = max(1, settings.tries - 2)
    growth = max(1.0, settings.most_s / settings.first_s) ** (1 / steps)
    return settings.first_s * growth**tries * random.uniform(0.5, 1.5)  # noqa: S311 (jitter)


def document(call: Call, manifest: Manifest | None, max_bytes: int) -> bytes:
    """What the receiver is told, as JSON; without the manifest where that would be too much."""
    data: dict[str, Any] = {"job_id": call.job_id, "state": call.state, "batch": call.batch or None}
    if manifest:
        data |= {
            "status": manifest.status,
            "tenant": manifest.tenant,
            "source": manifest.source,
            "output": manifest.output,
            "recipe": manifest.recipe,
            "variants": len(manifest.variants),
            "cost_usd": str(manifest.receipt.cost_usd),
            "failures": [f.model_dump(mode="json") for f in manifest.failures[:_FAILURES_TOLD]],
            "manifest": manifest.model_dump(mode="json"),
        }
    told = {
        "type": "job.ended",
        "timestamp": dt.datetime.fromtimestamp(call.ended_at, dt.UTC).isoformat(),
        "data": data,
    }
    body = json.dumps(told, separators=(",", ":")).encode()
    if len(body) > max_bytes and manifest:
        data["manifest"] = None
        body = json.dumps(told, separators=(",", ":")).encode()
    return body


def _called(call: Call, body: bytes, settings: WebhookSettings) -> tuple[str, bool, float]:
    """The problem or '', whether it is for good, and the seconds that the receiver asks for."""
    if not settings.keys:
        return (
            "PIXFLEET_WEBHOOK_SECRET is not set on the workers, and nothing is sent unsigned",
            True,
            0,
        )
    headers = signed_headers(call.event_id, int(time.time()), body, settings.keys)
    try:
        target = read_url(call.url, settings)
        answer = exchange(
            target,
            settings,
            deadline=time.monotonic() + settings.timeout_s,
            max_bytes=0,
            send=(body, headers),
        )
    except AddressError as error:
        return f"{error.message}; {error.hint}", True, 0
    except WorkError as error:
        return error.message, False, 0
    if http.client.OK <= answer.status < http.client.MULTIPLE_CHOICES:
        return "", True, 0
    gone = answer.status == http.client.GONE
    said = f"{target.url} answered {answer.status}"
    return said, gone, retry_after_s(answer)
