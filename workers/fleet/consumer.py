"""Celery's consumer, which does not forget what is on its way to a child when the worker ends."""

from __future__ import annotations

from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer


class Consumer(CeleryConsumer):
    """Keeps account of requests that lie in the pipe to a child when the worker is told to go.

    Celery forgets what no child has accepted yet. A child begins it all the same: nobody would wait
    for it or give it back, and its job would run on a lease whose owner is gone.
    """

    def on_close(self) -> None:
        """The worker ends, or a connection is lost: then Celery's way is right."""
        controller: Any = self.controller
        if controller.notices.notice is None:
            super().on_close()
            return
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
