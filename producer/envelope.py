"""A Celery message made by hand.

Celery's own ``send_task`` costs about half a millisecond a job, most of it connection bookkeeping;
an envelope of the same protocol is kept with the job's record, so that a script can put it on a
queue whenever that is needed, as often as needed.

Source: Celery 5 message protocol, version 2; kombu's virtual transport for Redis.
"""

from __future__ import annotations

import base64
import json
import os
import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

TAG: Final = "@TAG@"
"""Stands for the delivery's own tag: what puts the message on a queue writes it."""
_ORIGIN: Final = f"{os.getpid()}@{socket.gethostname()}"


def envelope(
    task: str,
    task_id: str,
    argument: dict[str, Any],
    queue: str,
    *,
    tag: str = TAG,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """The message that runs ``task(argument)`` under ``task_id`` from ``queue``.

    One that is to be sent without the ledger's scripts needs a ``tag`` of its own. ``headers`` are
    further ones: the trace that the step belongs to.
    """
    callbacks = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = json.dumps([[argument], {}, callbacks], separators=(",", ":")).encode()
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": task_id,
            "root_id": task_id,
            "parent_id": None,
            "group": None,
            "retries": 0,
            "eta": None,
            "expires": None,
            "timelimit": [None, None],
            "argsrepr": "",
            "kwargsrepr": "",
            "origin": _ORIGIN,
            "ignore_result": True,
            **(headers or {}),
        },
        "properties": {
            "correlation_id": task_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": tag,
        },
    }
    return json.dumps(message, separators=(",", ":")).encode()
