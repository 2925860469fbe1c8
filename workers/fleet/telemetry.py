"""Events of a worker whose queues are on SQS: SQS carries none, so they go to the ledger's Redis.

There Flower, started with that Redis as its broker (``pixfleet flower``), sees tasks and workers.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import Any, Final

import structlog
from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher
from kombu.connection import Connection

_MOST: Final = 10_000
_LAST_S: Final = 2
_log = structlog.get_logger(__name__)


class RedisDispatcher(EventDispatcher):
    """Sends events to the Redis of ledger and results, whatever the broker is.

    From a thread, because a Redis that is away takes its clients several seconds to give up on, and
    the event loop has jobs to hand out. No job depends on an event: meanwhile they are dropped.
    """

    def __init__(self, connection: Any = None, **kwargs: Any) -> None:
        if connection is not None:
            connection.release()
        app: Any = self.app
        self._unsent: queue.Queue[tuple[Any, ...] | None] = queue.Queue(_MOST)
        self._thread = threading.Thread(target=self._send_all, name="events", daemon=True)
        self._redis = Connection(app.conf.result_backend)
        super().__init__(self._redis, **kwargs)
        self.buffer_while_offline = False
        # Celery closes what it finds there before the last events are sent.
        self.connection = None
        self._thread.start()

    def _publish(self, *args: Any, **kwargs: Any) -> None:
        event, *rest = args
        # Celery empties the list that it hands over.
        event = list(event) if isinstance(event, list) else event
        with suppress(queue.Full):
            self._unsent.put_nowait((event, *rest, kwargs))

    def _send_all(self) -> None:
        while sent := self._unsent.get():
            *args, kwargs = sent
            try:
                super()._publish(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 (Celery's own dispatcher catches all too)
                _log.warning("events.dropped", reason=str(error), more=self._forget())

    def _forget(self) -> int:
        """Drop what waits, but for the word to stop; how many."""
        dropped = 0
        while True:
            try:
                waiting = self._unsent.get_nowait()
            except queue.Empty:
                return dropped
            if waiting is None:
                self._unsent.put(None)
                return dropped
            dropped += 1

    def close(self) -> None:
        """Send what waits, if that is possible soon."""
        with suppress(queue.Full):
            self._unsent.put(None, timeout=_LAST_S)
        self._thread.join(_LAST_S)
        super().close()
        self._redis.release()


class FleetEvents(Events):
    """``app.events`` of an SQS fleet."""

    dispatcher_cls = "pixfleet.workers.fleet.telemetry:RedisDispatcher"
