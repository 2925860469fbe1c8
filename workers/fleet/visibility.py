"""A message on SQS stays hidden as long as the worker that has it lives, and little longer.

While a child works on a message, and while it waits for a child, the main process renews its
visibility, in batches, three times in a timeout. So the timeout can be far below the longest job:
a killed worker's messages come back after 120 s, though a job may take 300.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import structlog
from celery import bootsteps

if TYPE_CHECKING:
    from celery.worker.consumer import Consumer

_log = structlog.get_logger(__name__)


class Visibility(bootsteps.StartStopStep):
    """Renews until the process ends: a worker that stops is still ending its jobs."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Consumer, **_: Any) -> None:
        super().__init__(parent)
        app: Any = parent.app
        self._timeout_s: int = app.conf.broker_transport_options["visibility_timeout"]
        self._channel: Any = None
        self._thread: threading.Thread | None = None

    def start(self, parent: Any) -> None:
        """Called again after a lost connection, with another channel."""
        self._channel = parent.task_consumer.channel
        if self._thread is None:
            self._thread = threading.Thread(target=self._renew, name="visibility", daemon=True)
            self._thread.start()

    def _renew(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._timeout_s / 3):
            try:
                self._channel.renew_visibility(self._timeout_s)
            except ConnectionError as error:
                _log.warning("visibility.not_renewed", error=str(error))
