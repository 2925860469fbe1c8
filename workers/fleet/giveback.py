"""A worker that is told to go finishes what it can in time, and gives back the rest.

Celery's own soft shutdown (``REMAP_SIGTERM=SIGQUIT``) was tried with 5.7: an idle worker leaves with
a traceback and exit code 1, and one in a long encode does not leave at all. A warm shutdown waits
for running tasks without end. So: a warm shutdown, and when its time is up the children are killed,
which with late acknowledgement puts their tasks back on the queue.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog
from billiard import active_children
from celery import signals

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger()


def give_back_after(seconds: float) -> Callable[..., None]:
    """From the signal to go, running tasks have ``seconds``; the receiver must be kept alive."""

    def told_to_go(**_: object) -> None:
        timer = threading.Timer(seconds, _kill_children)
        timer.daemon = True
        timer.start()

    signals.worker_shutting_down.connect(told_to_go)
    return told_to_go


def _kill_children() -> None:
    busy = active_children()
    if busy:
        _log.warning("worker.giving_back", children=len(busy))
    for child in busy:
        child.terminate()
