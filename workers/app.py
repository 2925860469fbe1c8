"""The composition root of a worker: ``celery -A pixfleet.workers.app worker``."""

from __future__ import annotations

import contextlib
import functools
import time
import warnings
from typing import Any

from celery import Celery, signals
from celery.platforms import SecurityWarning

from pixfleet.config import keys
from pixfleet.config.broker import celery_options
from pixfleet.config.settings import Settings
from pixfleet.producer.connection import (
    LedgerUnavailableError,
    answering,
    connect,
    persistence,
)
from pixfleet.producer.tracing import trace_id

from . import logs, tracing
from .fleet.adopt import Adopt
from .fleet.ending import SwiftEnding, worker_idle
from .fleet.giveback import GiveBack
from .fleet.large import announce, consumed, withdraw
from .fleet.liveness import Connected, Liveness
from .fleet.memory import BASE_BYTES, child_budget, confine
from .fleet.scratch import close_scratch, enter_scratch, open_scratch
from .fleet.sent import facts_of, sent_to
from .fleet.sweeper import Sweep
from .fleet.visibility import Visibility
from .fleet.watch import Watch
from .spend.account import KeepAccount

# Root is unsafe where messages are pickles; here they are JSON and nothing else.
warnings.filterwarnings("ignore", category=SecurityWarning)
settings = Settings.load()
on_sqs = settings.broker.on_sqs
app = Celery(
    "pixfleet",
    amqp="pixfleet.workers.fleet.reconnect:PatientAMQP",
    events="pixfleet.workers.fleet.telemetry:FleetEvents" if on_sqs else None,
)
app.conf.update(celery_options(settings))
app.conf.update(
    worker_consumer="pixfleet.workers.fleet.consumer:Consumer",
    worker_soft_shutdown_timeout=settings.worker.soft_shutdown_s,
    # A chord is sent by who has done its work: about five minutes, as long as a job may take.
    task_publish_retry_policy={
        "max_retries": 60,
        "interval_start": 0.2,
        "interval_step": 0.5,
        "interval_max": 5,
    },
    pixfleet_settings=settings,
    imports=[
        "pixfleet.workers.tasks.prepare",
        "pixfleet.workers.tasks.encode",
        "pixfleet.workers.tasks.finalize",
        "pixfleet.workers.tasks.summarize",
        "pixfleet.workers.tasks.notify",
        "pixfleet.workers.tasks.tidy",
    ],
)
app.steps["worker"].update({SwiftEnding, Watch, GiveBack, Sweep, Liveness, KeepAccount})  # pyright: ignore[reportOptionalSubscript]
app.steps["consumer"].update({Adopt, Connected})  # pyright: ignore[reportOptionalSubscript]
if on_sqs:
    app.conf.broker_transport = "pixfleet.workers.fleet.sqs_transport:Transport"
    app.steps["consumer"].add(Visibility)  # pyright: ignore[reportOptionalSubscript]


logs.set_up(settings.log, others=False)  # who only imports this has logs of its own


@signals.setup_logging.connect
def _log_as_told(loglevel: int, logfile: str | None, **_: object) -> None:
    """Instead of Celery's own handlers: --loglevel and --logfile hold for our lines, too."""
    logs.set_up(settings.log, loglevel, logfile or "")
    from celery.apps import worker as console  # noqa: PLC0415 (a worker has it already)

    console.safe_say = logs.say  # it would print plain text to stdout


@signals.task_prerun.connect
def _step_begins(task: Any, task_id: str, args: Any, **_: object) -> None:
    """Before Celery's instrumentation, which takes up the trace that the request carries."""
    facts = facts_of(task.name, task_id, sent_to(args))
    trace = trace_id(tracing.adopt(task.request, facts.get("job_id", "")))
    logs.step_begins({**facts, **({"trace_id": trace} if trace else {})})


@signals.task_postrun.connect
def _step_ends(**_: object) -> None:
    logs.step_ends()


@signals.worker_init.connect
def _share_out(sender: Any, **_: object) -> None:
    """What each child may map, and so which queues this worker takes jobs from."""
    from .need import largest_bytes  # noqa: PLC0415 (as below)

    budget = child_budget(settings.worker, sender.concurrency)
    app.conf["pixfleet_child_budget"] = budget
    app.conf["pixfleet_scratch"] = open_scratch()
    queues: Any = app.amqp.queues
    if queues._consume_from is None:  # noqa: SLF001 (-Q has named none; no public way to know)
        room, largest = budget - BASE_BYTES, largest_bytes(settings.limits)
        queues.select(consumed(settings.worker.queues, room, largest))


@signals.worker_process_init.connect
def _ready_child(**_: object) -> None:
    """One thread a child, as the pool is what uses the cores; and no first job that waits."""
    import cv2  # noqa: PLC0415 (a monitor or Flower that imports the app needs no OpenCV)

    from .runtime import runtime  # noqa: PLC0415 (ditto, and no stores)

    enter_scratch(app.conf["pixfleet_scratch"])
    cv2.setNumThreads(1)
    runtime()
    app.backend.connparams.update(persistence(for_ever=True))
    tracing.begin_child()
    confine(app.conf["pixfleet_child_budget"])


@signals.worker_process_shutdown.connect
def _end_child(**_: object) -> None:
    tracing.end_process()


def _tell_requests(**_: object) -> None:
    """A child that has sent a job's next steps to SQS says so."""
    from .runtime import runtime  # noqa: PLC0415 (as above)

    runtime().ledger.scripts.tell_requests()


if on_sqs:
    signals.task_postrun.connect(_tell_requests)


@functools.cache
def _ledger() -> Any:
    """The main process's connection for signs of life: one, not a new one every two seconds."""
    return connect(settings.ledger_url)


def _alive(sender: Any, **_: object) -> None:
    """Every two seconds: the fleet's list of workers, for the monitor and for who waits."""
    name = sender.hostname if hasattr(sender, "hostname") else sender.eventer.hostname
    with contextlib.suppress(LedgerUnavailableError):
        client = _ledger()
        with answering(client):
            client.zadd(keys.WORKERS, {str(name): time.time()})
        announce(client, str(name), app.amqp.queues.consume_from, time.time())


@signals.celeryd_after_setup.connect
def _quiet(**_: object) -> None:
    """Work goes on when a connection is lost, on purpose: no need to warn of other defaults.

    Now, because Celery's logging makes all its warnings heard again when it is set up.
    """
    warnings.filterwarnings("ignore", message="(?s).*worker_cancel_long_running_tasks")


signals.worker_ready.connect(_alive)
signals.heartbeat_sent.connect(_alive)


def _gone(sender: Any, **_: object) -> None:
    tracing.end_process()
    close_scratch(app.conf["pixfleet_scratch"])
    with contextlib.suppress(LedgerUnavailableError):
        client = _ledger()
        withdraw(client, str(sender.hostname))
        with answering(client):
            name = str(sender.hostname)
            client.zrem(keys.WORKERS, name)
            client.delete(keys.WORKER + name, keys.DRAIN + name)


worker_idle.connect(_gone)
signals.worker_shutdown.connect(_gone)
