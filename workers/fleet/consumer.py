"""Celery's consumer: forgets no request on its way to a child, and sends events by the second."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final

from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer

_EVENTS_S: Final = 0.5
"""Events of tasks wait so long for others: to send each alone is a fifth of the cheapest job."""


class Consumer(CeleryConsumer):
    """Keeps account of requests that lie in the pipe to a child when the worker is told to go.

    Celery forgets what no child has accepted yet. A child begins it all the same: nobody would wait
    for it or give it back, and its job would run on a lease whose owner is gone.
    """

    _events_due_s = 0.0

    def on_send_event_buffered(self) -> None:
        """Have events sent a little later; Celery does at the event loop's next turn."""
        now_s = time.monotonic()
        if self.hub and now_s >= self._events_due_s:
            self._events_due_s = now_s + _EVENTS_S
            self.hub.call_later(_EVENTS_S, self._flush_events)

    def on_close(self) -> None:
        """The worker ends, or a connection is lost: then Celery's way is right."""
        controller: Any = self.controller
        if controller.notices.notice is None:
            super().on_close()
            return
        with suppress(Exception):  # nobody waits for them
            self._flush_events()
        handed = [
            request
            for request in tuple(state.reserved_requests)
            if request._apply_result is not None  # noqa: SLF001 (no public way to know)
        ]
        pool, self.pool = self.pool, None  # its flush would make the pool deaf to their beginning
        super().on_close()
        self.pool = pool
        for request in handed:
            state.task_reserved(request)
