"""Progress-based liveness: a worker's main process tells probes how it is doing (``pulse``)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery import bootsteps
from celery.worker import state as celery_state

from pixfleet.config.state import pulse_dir

from .ending import SwiftEnding
from .owner import owner_name
from .pulse import INTERVAL_S, Pulse, State, Task, sweep_pulses, write_pulse

if TYPE_CHECKING:
    from celery.worker import WorkController
    from celery.worker.consumer import Consumer

_log = structlog.get_logger(__name__)


class Vitals:
    """What the event loop's thread notes and the writing thread reads."""

    def __init__(self) -> None:
        self.state: State = "starting"
        self.since_s = self.ticked_s = time.monotonic()

    def enter(self, state: State) -> None:
        """The connection's state has changed."""
        self.state = state
        self.since_s = time.monotonic()

    def tick(self) -> None:
        """The event loop has come round."""
        self.ticked_s = time.monotonic()


VITALS: Final = Vitals()
"""Of this process: a process is one worker."""


class Liveness(bootsteps.StartStopStep):
    """Writes the pulse every two seconds for as long as the process lives."""

    requires = (SwiftEnding,)

    def __init__(self, worker: WorkController, **_: Any) -> None:
        super().__init__(worker)
        self._tasks: dict[str, Task] = {}

    def start(self, parent: Any) -> None:
        """A daemon's thread: the loop that it watches must not have to stop it."""
        sweep_pulses(pulse_dir())
        threading.Thread(target=self._write, args=(parent,), name="pulse", daemon=True).start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002 (Celery's signature)
        """How long an ending may take is for who asked for it."""
        VITALS.enter("ending")

    def _write(self, worker: Any) -> None:
        while True:
            try:
                write_pulse(pulse_dir(), self._pulse(worker))
            except Exception as error:  # noqa: BLE001 (a full disk must not end the signs of life)
                _log.warning("pulse.not_written", error=str(error))
            time.sleep(INTERVAL_S)

    def _pulse(self, worker: Any) -> Pulse:
        now_s = time.monotonic()
        active = {request.id: request.name for request in celery_state.active_requests.copy()}
        self._tasks = {
            id_: self._tasks.get(id_) or Task(id_, name, now_s) for id_, name in active.items()
        }
        return Pulse(
            worker=worker.hostname,
            owner=owner_name(),
            state=VITALS.state,
            since_s=VITALS.since_s,
            ticked_s=VITALS.ticked_s,
            written_s=now_s,
            hard_time_limit_s=worker.app.conf.task_time_limit,
            children=sum(process.is_alive() for process in worker.pool._pool._pool),  # noqa: SLF001 (no public way)
            tasks=tuple(self._tasks.values()),
        )


class Connected(bootsteps.StartStopStep):
    """Notes when the consumer is connected, and when it has lost its broker."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Consumer, **_: Any) -> None:
        super().__init__(consumer)

    def register_with_event_loop(self, parent: Any, hub: Any) -> None:  # noqa: ARG002 (Celery's)
        """The event loop is about to turn."""
        hub.on_tick.add(VITALS.tick)
        VITALS.tick()
        VITALS.enter("connected")

    def stop(self, parent: Any) -> None:
        """The connection is lost, unless the worker is told to go."""
        if parent.connection is None:
            VITALS.enter("reconnecting")
