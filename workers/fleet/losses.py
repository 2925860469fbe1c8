"""What a worker's main process knows and nobody else: which child died over which job."""

from __future__ import annotations

import contextlib
import time
from functools import cached_property
from typing import Any

import structlog
from billiard.exceptions import WorkerLostError
from celery.worker.request import Request
from structlog.contextvars import bound_contextvars

from pixfleet.producer.connection import LedgerUnavailableError, connect
from pixfleet.producer.sqs import post_of
from pixfleet.producer.tracing import carried, trace_id
from pixfleet.workers import tracing

from .jobs import Abandonment
from .owner import owner_name
from .sent import facts_of, sent_to
from .timings import timings
from .trials import bury

_log = structlog.get_logger(__name__)


class StepRequest(Request):
    """A step in a child; the child's end is written down before the message goes back."""

    goes_on = False
    """The child is gone, and the ledger has queued the job again: the message is done."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Events, and so Flower, would show them, and a source's URL may hold a token.
        self._argsrepr = self._kwargsrepr = ""

    @property
    def job_id(self) -> str:
        """The job that the step is of; that of a first step has the job's own id."""
        return str(self._sent.get("job_id", self.id))

    @property
    def part(self) -> tuple[int, str] | None:
        """The claim and the name of the part of a fanned-out job that the step is."""
        sent = self._sent
        return (sent["fence"], sent.get("variant", "finalize")) if "fence" in sent else None

    @property
    def kind(self) -> tuple[str, str]:
        """Steps of a kind take about as long: the task's name and the recipe's."""
        sent = self._sent
        job = sent.get("job", sent)
        recipe = job.get("recipe", "") if isinstance(job, dict) else ""
        name = recipe.get("name", "") if isinstance(recipe, dict) else recipe
        return str(self.name), str(name)

    @property
    def facts(self) -> dict[str, Any]:
        """What a line of the log about the step says of it."""
        trace = trace_id(self._trace)
        facts = facts_of(str(self.name), str(self.id), self._sent)
        return {**facts, **({"trace_id": trace} if trace else {})}

    def say_lost(self, event: str, why: str) -> None:
        """The child is gone, and with it what it would have said: log and trace have it from us."""
        after_s = round(time.time() - self.time_start, 1) if self.time_start else 0.0
        owner = owner_name(self.worker_pid) if self.worker_pid else ""
        _log.warning(event, **self.facts, why=why, owner=owner, after_s=after_s)
        if self.time_start:
            name, context = str(self.name), self._trace
            tracing.lost(name, context, self.job_id, self.time_start, why, owner=owner)

    def acknowledge(self) -> None:
        """As Celery's; a step that has ended by itself tells how long such steps take."""
        if self.time_start and not self.acknowledged and not self.goes_on:
            timings.add(self.kind, time.time() - self.time_start)
        super().acknowledge()

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """As Celery's, also called when the child is gone."""
        error = exc_info.exception
        with bound_contextvars(**self.facts):
            if isinstance(lost := getattr(error, "exc", error), WorkerLostError):
                self._bury("its process died", signalled="signal" in str(lost))
            return super().on_failure(exc_info, *args, **kwargs)

    def on_timeout(self, soft: bool, timeout: float) -> Any:  # noqa: FBT001 (Celery's signature)
        """As Celery's; past the hard limit the child is being killed."""
        with bound_contextvars(**self.facts):
            if not soft:
                self._bury(f"it was ended after {timeout:g} s, the hard time limit")
            return super().on_timeout(soft, timeout)

    def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 (Celery's signature)
        """As Celery's, unless the job goes on without this message."""
        if requeue and self.goes_on:
            self.acknowledge()
        else:
            super().reject(requeue)

    def _bury(self, why: str, *, signalled: bool = False) -> None:
        self.say_lost("worker.lost_child", why)
        owner = owner_name(self.worker_pid)
        settings = self.task.app.conf["pixfleet_settings"]
        # Without a ledger the message goes back, and the lease has to run out.
        with contextlib.suppress(LedgerUnavailableError):
            client = connect(settings.ledger_url)
            bury(client, self.job_id, owner, signalled=signalled)
            word = Abandonment(client, settings.queue, post_of(settings))
            self.goes_on = word.tell(self.job_id, owner, "lost", why) >= 0
            client.close()

    @cached_property
    def _sent(self) -> dict[str, Any]:
        return sent_to(self.args)

    @cached_property
    def _trace(self) -> dict[str, str]:
        return carried(self.request_dict)
