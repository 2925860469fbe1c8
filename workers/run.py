"""``pixfleet run``: one folder through a real fleet on this machine, from nothing to a report."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config import keys
from pixfleet.config.queues import BULK
from pixfleet.config.settings import Settings
from pixfleet.config.urls import shown
from pixfleet.producer.admission import BudgetClosedError
from pixfleet.producer.cli import jobs_of
from pixfleet.producer.client import Producer
from pixfleet.producer.desk import JobDesk
from pixfleet.producer.holding import holds
from pixfleet.producer.sources import find_sources
from pixfleet.producer.tracing import SUBMIT, traced

from .embedded import EmbeddedBroker
from .fleet.process import WorkerProcess
from .summary import totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from pixfleet.config.contract import Recipe
    from pixfleet.config.results import BatchSummary
    from pixfleet.producer.holding import Hold
    from pixfleet.producer.ledger import BatchStatus, Ledger
    from pixfleet.producer.sources import Source

_POLL_S: Final = 0.05
_LOOK_S: Final = 1.0
"""Between two looks at budgets."""
_RESTARTS: Final = 3
_RUN_PREFIX: Final = "run-"
_REMEMBERED: Final = "What is done is remembered: the same command goes on from there"


class RunFailedError(RuntimeError):
    """The run could not be brought to its end; says why, and that a second run goes on."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a user asked for."""

    source: str
    out: str
    recipe: Recipe
    workers: int
    tenant: str
    state: Path
    chosen: tuple[Source, ...] | None = None
    """of the source's images only these; None: all"""
    environment: Mapping[str, str] = field(default_factory=dict)
    """of its worker, over this process's"""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of it."""

    summary: BatchSummary
    output: str
    startup_s: float
    """from the command to the first job submitted"""
    wall_s: float
    """from the first submit to the last result"""
    problem: str
    closed: str = ""
    """the budget that stopped it, in words; what it had not begun ended as cancelled"""

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        fields = self.summary.model_dump(mode="json", exclude={"schema_version", "batch"})
        place = self.output.rstrip("/")
        return {
            **fields,
            "manifest": f"{place}/{self.summary.manifest}",
            "report": f"{place}/{self.summary.report}",
            "startup_s": round(self.startup_s, 3),
            "wall_s": round(self.wall_s, 3),
            "images_per_s": round(self.summary.images / self.wall_s, 3) if self.wall_s else 0,
            **({"budget": self.closed} if self.closed else {}),
        }


def run(order: Order, started_s: float, show: Callable[[BatchStatus, float], None]) -> RunResult:
    """Start broker and worker, submit, follow to the end, stop what was started.

    ``started_s`` is when the command began, on the monotonic clock; ``show`` is called some times
    a second with where the batch stands and the seconds since the first submit.

    Raises:
        SourceNotFoundError: nothing to do.
        BudgetClosedError: none of its jobs would be begun.
        RunFailedError: the worker cannot be kept alive.
    """
    next(iter(_sources(order)))
    batch = f"{_RUN_PREFIX}{uuid.uuid4().hex[:12]}"
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(order.state))
        producer = Producer(broker.url)
        settings = Settings.load().with_broker(broker.url)
        if broker.owned:
            _cancel_abandoned(producer)
        if hold := _hold(producer.ledger, order):  # nothing need be started to know that
            left_s = (hold.ends_at - dt.datetime.now(dt.UTC)).total_seconds()
            raise BudgetClosedError(sum(1 for _ in _sources(order)), hold, left_s)
        worker = WorkerProcess(
            producer.ledger.redis,
            children=order.workers,
            environment={
                "PIXFLEET_BROKER": broker.url,
                "PIXFLEET_LEDGER": "",
                "PIXFLEET_STATE": str(order.state),
                "PIXFLEET_STORE_URL": settings.store.url,
                # There is no other worker that a job could wait for.
                "PIXFLEET_LARGE_WAIT_S": "0",
                **order.environment,
            },
            log=order.state / "logs" / "worker.log",
        )
        stack.enter_context(worker)
        try:
            worker.wait_ready()
            return _follow(order, producer, worker, batch=batch, started_s=started_s, show=show)
        except BaseException:
            producer.ledger.cancel_batch(batch)
            worker.stop(at_once=True)
            raise


def _follow(
    order: Order,
    producer: Producer,
    worker: WorkerProcess,
    *,
    batch: str,
    started_s: float,
    show: Callable[[BatchStatus, float], None],
) -> RunResult:
    first_s = time.monotonic()
    jobs = jobs_of(
        _sources(order),
        out=order.out,
        recipe=order.recipe,
        batch=batch,
        tenant=order.tenant,
        queue=BULK,
    )
    closed, count = "", 0
    try:
        with traced(SUBMIT):
            for _ in producer.submit_many(jobs):
                count += 1
    except BudgetClosedError as error:
        if not count:
            raise
        closed = f"{error}. {_REMEMBERED}"
        JobDesk(producer.ledger).cancel_batch(batch)
    producer.close_batch(batch, output=order.out, title=shown(order.source))
    restarts = 0
    looked_s = first_s
    while True:
        status = producer.batch(batch)
        show(status, time.monotonic() - first_s)
        if status.ended >= status.submitted and status.summarized:
            break
        if not closed and time.monotonic() - looked_s > _LOOK_S:
            looked_s = time.monotonic()
            if hold := _hold(producer.ledger, order):  # nobody would be there when it opens
                closed = f"{hold.text}. {_REMEMBERED}"
                JobDesk(producer.ledger).cancel_batch(batch)
        if worker.exit_code is not None:
            restarts += 1
            if restarts > _RESTARTS:
                raise RunFailedError(
                    f"the worker died {restarts} times, the last time with exit "
                    f"{worker.exit_code}; see {order.state / 'logs' / 'worker.log'}. "
                    "What is done is remembered: running the same command again goes on"
                )
            worker.stop()
            worker.__enter__()
            worker.wait_ready()
        time.sleep(_POLL_S)
    return RunResult(
        summary=totals(status),
        output=order.out,
        startup_s=first_s - started_s,
        wall_s=status.wall_s,
        problem=status.problem,
        closed=closed,
    )


def _sources(order: Order) -> Iterable[Source]:
    if order.chosen is not None:
        return order.chosen
    return find_sources(order.source, without=order.out)


def _hold(ledger: Ledger, order: Order) -> Hold | None:
    """The budget that lets none of the order's jobs begin."""
    return holds(ledger, order.tenant, order.recipe.name, BULK)


def _cancel_abandoned(producer: Producer) -> None:
    """Nobody waits for what an interrupted run left in the queue; its results are in the memo."""
    client = producer.ledger.redis
    for name in client.scan_iter(match=f"{keys.BATCH}{_RUN_PREFIX}*"):
        if not client.hexists(name, "summarized"):
            client.hset(name, "cancelled", "1")
