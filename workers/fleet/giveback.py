"""A worker that is told to go finishes what it can in time, and gives back the rest."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery import bootsteps
from celery.worker import state

from pixfleet.workers.spend.account import KeepAccount

from .losses import StepRequest
from .rework import Rework
from .timings import timings
from .watch import Watch

if TYPE_CHECKING:
    from celery.worker import WorkController

    from .notice import Notice, Notices

_ACCEPT_S: Final = 1.0
"""What is on its way to a child is its task a moment later."""
_LOOK_S: Final = 0.1
_FLUSHES: Final = 20
"""Turns of the event loop in which it says to the broker what is to be said."""
_log = structlog.get_logger(__name__)


class GiveBack(bootsteps.StartStopStep):
    """Bounds a warm shutdown: stopped after the consumer, and before the pool.

    Celery's warm shutdown waits for running tasks without end, until whoever asked for it kills the
    worker and its jobs wait for the visibility timeout. Its own remedy, ``REMAP_SIGTERM=SIGQUIT``,
    was tried with 5.7: an idle worker leaves with a traceback and exit code 1, and one whose child
    is in a long encode does not leave at all.
    """

    # The account's last word comes after the last job's end, so it is stopped after this.
    requires = (Watch, KeepAccount)

    def __init__(self, worker: WorkController, **_: Any) -> None:
        super().__init__(worker)
        app: Any = worker.app
        self._soft_s: float = app.conf.worker_soft_shutdown_timeout
        self._rework = Rework(app.conf["pixfleet_settings"])

    def stop(self, parent: Any) -> None:
        """Let tasks end that fit, give the others back as soon as it is known that they do not."""
        if parent.hub is None:
            return
        notices: Notices = parent.notices
        notice = notices.give("shutdown", self._soft_s)  # unless it is known already, and why
        _log.info("worker.takes_no_more", why=notice.why, active=len(state.active_requests))
        for request in tuple(state.scheduled_requests):
            parent.timer.cancel(request._eta_timer_entry)  # noqa: SLF001 (no public way)
            self._requeue(request)
        looks = parent.hub.call_repeatedly(_LOOK_S, lambda: None)
        # Without a broker nobody would hear of a result.
        with contextlib.suppress(*parent.consumer.connection_errors):
            while self._give_back_late(notices):
                parent.hub.run_once()
        for request in tuple(state.reserved_requests):
            self._give_back(request, "the broker went away")
        with contextlib.suppress(*parent.consumer.connection_errors):
            for _ in range(_FLUSHES):
                if not parent.hub._ready:  # noqa: SLF001 (no public way to know)
                    break
                parent.hub.run_once()
        looks.cancel()

    def _give_back_late(self, notices: Notices) -> bool:
        """Give back what will not end in time; True: others are still at work."""
        notice = notices.notice
        for request in tuple(state.reserved_requests):
            if notice and time.monotonic() >= self._until_s(request, notice):
                self._give_back(request, notice.why)
        return bool(state.reserved_requests)

    def _until_s(self, request: Any, notice: Notice) -> float:
        """Until when (monotonic seconds) a request may go on.

        What is not known to need longer gets as long as after SIGTERM, also where its usual time
        is over; what is known not to fit gets nothing.
        """
        if request.time_start is None:
            return min(notice.seen_s + _ACCEPT_S, notice.deadline_s)
        began_s = time.monotonic() - (time.time() - request.time_start)
        usual_s = timings.p90_s(request.kind) if isinstance(request, StepRequest) else None
        ends_s = began_s + (usual_s or 0.0)
        if ends_s > max(notice.deadline_s, time.monotonic()):
            return 0.0
        return min(notice.deadline_s, max(ends_s, notice.seen_s + self._soft_s))

    def _give_back(self, request: Any, why: str) -> None:
        if request.worker_pid is not None:
            # Only a kill ends a long encode: Python's handlers wait until it returns.
            with contextlib.suppress(ProcessLookupError):
                os.kill(request.worker_pid, signal.SIGKILL)
        if isinstance(request, StepRequest):
            request.say_lost("worker.gives_back", why)
            request.goes_on = self._rework.given_back(request, why)
        self._requeue(request)

    def _requeue(self, request: Any) -> None:
        request.reject(requeue=True)
        # Otherwise the pool waits 10 s for a result that may still be in a pipe.
        if request._apply_result and (result := request._apply_result()):  # noqa: SLF001 (no public way)
            result.discard()
        state.task_ready(request)
