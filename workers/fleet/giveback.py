"""A worker that is told to go finishes what it can in time, and gives back the rest."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import structlog
from celery import bootsteps
from celery.worker import state

from .ending import SwiftEnding

if TYPE_CHECKING:
    from celery.worker import WorkController

_log = structlog.get_logger()


class GiveBack(bootsteps.StartStopStep):
    """Bounds a warm shutdown: stopped after the consumer, and before the pool.

    Celery's warm shutdown waits for running tasks without end, until whoever asked for it kills the
    worker and its jobs wait for the visibility timeout. Its own remedy, ``REMAP_SIGTERM=SIGQUIT``,
    was tried with 5.7: an idle worker leaves with a traceback and exit code 1, and one whose child
    is in a long encode does not leave at all.
    """

    requires = (SwiftEnding,)

    def __init__(self, worker: WorkController, **_: Any) -> None:
        super().__init__(worker)
        app: Any = worker.app
        self._soft_s: float = app.conf.worker_soft_shutdown_timeout

    def stop(self, parent: Any) -> None:
        """Let running tasks end in time, then requeue the others and kill their children."""
        if parent.hub is None:
            return
        deadline = time.monotonic() + self._soft_s
        # Without a broker nobody would hear of a result.
        with contextlib.suppress(*parent.consumer.connection_errors):
            while state.active_requests and time.monotonic() < deadline:
                parent.hub.run_once()
        for request in tuple(state.active_requests):
            _log.warning("worker.gives_back", task=request.id)
            request.reject(requeue=True)
            # Only a kill ends a long encode: Python's handlers wait until it returns.
            with contextlib.suppress(ProcessLookupError):
                os.kill(request.worker_pid, signal.SIGKILL)
            # Otherwise the pool waits 10 s for a result that may still be in a pipe.
            if result := request._apply_result():  # noqa: SLF001 (no public way)
                result.discard()
            state.task_ready(request)
