"""A worker that nobody keeps busy ends at once, not after Celery's and billiard's fixed sleeps."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps
from celery.utils.dispatch import Signal
from celery.worker import state

from pixfleet.producer import tracing

if TYPE_CHECKING:
    from celery.worker import WorkController

worker_idle: Final = Signal(name="worker_idle")
"""Sent by a worker that is ending, as soon as it neither has nor takes any work: whatever it does
from here on is sleeping, and who waits for its end may kill it."""
_BUFFER: Final = 512


class SwiftEnding(bootsteps.StartStopStep):
    """Started after the pool and before the consumer, so stopped between the two.

    Left alone, a warm shutdown sleeps up to 1 s in the event loop until it looks at the signal,
    1 s in every child that says goodbye, and 0.5 s in a thread for timers: 2.5 s to stop a worker
    that does nothing.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: WorkController, **_: Any) -> None:
        super().__init__(worker)
        self._pipe: tuple[int, int] | None = None

    def start(self, parent: Any) -> None:
        """Let a signal wake the event loop."""
        if parent.hub is None:  # a pool or transport without one looks at signals by itself
            return
        reader, writer = os.pipe()
        for end in (reader, writer):
            os.set_blocking(end, False)
        self._pipe = reader, writer
        parent.hub.add_reader(reader, lambda: os.read(reader, _BUFFER))
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def stop(self, parent: Any) -> None:
        """The consumer is closed: with no task running and no answer unread, children may go."""
        if self._pipe:
            signal.set_wakeup_fd(-1)
            parent.hub.remove(self._pipe[0])
            for end in self._pipe:
                os.close(end)
            self._pipe = None
        if tracing.is_on():  # children have spans to send: the pool's stop lets them
            return
        # Acknowledgements wait in the hub; the pool's own stop sends them.
        if parent.hub is None or parent.hub._ready:  # noqa: SLF001 (no public way to know)
            return
        if state.active_requests or state.reserved_requests:
            return
        for pid in parent.pool.info["processes"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        worker_idle.send(sender=parent)
