"""Events of a worker whose queues are on SQS: SQS carries none, so they go to the ledger's Redis.

There Flower, started with that Redis as its broker (``pixfleet flower``), sees tasks and workers.
"""

from __future__ import annotations

import time
from typing import Any, Final

import structlog
from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher
from kombu.connection import Connection

_ANSWER_S: Final = 2
_PAUSE_S: Final = 5.0
_log = structlog.get_logger()


class RedisDispatcher(EventDispatcher):
    """Sends events to the Redis of ledger and results, whatever the broker is.

    Nobody's job depends on an event: while Redis is away they are dropped, and the event loop is
    held up by one attempt in ``_PAUSE_S``.
    """

    def __init__(self, connection: Any = None, **kwargs: Any) -> None:
        if connection is not None:
            connection.release()
        limits = {"socket_timeout": _ANSWER_S, "socket_connect_timeout": _ANSWER_S}
        app: Any = self.app
        url = app.conf.result_backend
        super().__init__(Connection(url, transport_options=limits), **kwargs)
        self.buffer_while_offline = False
        self._away_until_s = 0.0

    def _publish(self, *args: Any, **kwargs: Any) -> None:
        if time.monotonic() < self._away_until_s:
            return
        try:
            super()._publish(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 (Celery's own dispatcher catches all too)
            self._away_until_s = time.monotonic() + _PAUSE_S
            _log.warning("events.dropped", error=str(error))


class FleetEvents(Events):
    """``app.events`` of an SQS fleet."""

    dispatcher_cls = "pixfleet.workers.fleet.telemetry:RedisDispatcher"
