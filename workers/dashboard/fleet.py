"""The Fleet page: how fast, what waits, who works, what failed, and the buttons that mend it."""

from __future__ import annotations

import asyncio
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from tornado.web import url

from pixfleet.config.prices import PriceError
from pixfleet.producer.connection import LedgerUnavailableError
from pixfleet.producer.desk import ENDS, JobDesk
from pixfleet.producer.ledger import Ledger, UnknownJobError
from pixfleet.producer.roster import Roster, UnknownWorkerError
from pixfleet.producer.sqs import SqsUnavailableError, post_of
from pixfleet.workers.monitor.fleet_document import document
from pixfleet.workers.monitor.fleet_history import SPANS, FleetHistory
from pixfleet.workers.monitor.fleet_view import FleetWatch
from pixfleet.workers.monitor.job_document import job_document

from .pages import DataHandler, HistoryHandler, JsonHandler, PageHandler, RefusedError, WriteHandler
from .reader import Reader

if TYPE_CHECKING:
    import redis
    from tornado.routing import URLSpec

    from pixfleet.config.settings import Settings

_DRAIN_S: Final = 120
"""As `pixfleet drain` gives a worker."""
_HISTORY_EVERY_S: Final = 10.0


def handlers(client: redis.Redis, settings: Settings) -> list[URLSpec]:
    """Routes of the page."""
    ledger = Ledger(client, settings.queue, None)
    watch, history = FleetWatch(ledger), FleetHistory(client)
    orders = _Orders(client, settings)
    now = Reader("fleet", lambda: document(watch.look()))
    past = {
        span: Reader(f"fleet {span}", partial(history.read, span), _HISTORY_EVERY_S)
        for span in SPANS
    }
    return [
        url(r"/fleet", PageHandler, {"template": "fleet.html", "tab": "fleet"}, name="fleet"),
        url(r"/fleet/data", DataHandler, {"reader": now}),
        url(r"/fleet/history", HistoryHandler, {"readers": past}),
        url(r"/fleet/job", _JobHandler, {"ledger": ledger}),
        url(r"/fleet/retry", WriteHandler, {"act": orders.retry, "reader": now}),
        url(r"/fleet/drain", WriteHandler, {"act": orders.drain, "reader": now}),
    ]


class _Orders:
    """What the page's buttons ask for."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._redis = client
        self._settings = settings
        self._roster = Roster(client)

    @cached_property
    def _ledger(self) -> Ledger:
        """Opened by the first order: who only looks needs no rights on SQS."""
        try:
            return Ledger(self._redis, self._settings.queue, post_of(self._settings))
        except (SqsUnavailableError, PriceError) as error:
            raise RefusedError("no_queue", str(error), 503) from None

    def retry(self, order: dict[str, Any]) -> object:
        """``{"job": id}``: it is queued again, with all its attempts."""
        job_id = str(order.get("job"))
        try:
            if JobDesk(self._ledger).retry(job_id):
                return {"job": job_id}
            state = self._ledger.status(job_id).state
        except UnknownJobError:
            raise RefusedError(
                "expired", "its record has expired: submit the picture again", 404
            ) from None
        if state in ENDS:
            raise RefusedError(state, f"it is {state}: nothing to retry")
        raise RefusedError("not_ended", f"it is {state} already")

    def drain(self, order: dict[str, Any]) -> object:
        """``{"worker": name}``: it takes no more work, and goes."""
        try:
            return self._roster.drain([str(order.get("worker"))], _DRAIN_S)
        except UnknownWorkerError as error:
            raise RefusedError("unknown", str(error), 404) from None


class _JobHandler(JsonHandler):
    """One job by its ``id``, read when it is asked for: nobody keeps all jobs in memory."""

    def initialize(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def get(self) -> None:
        job_id = self.get_query_argument("id", "")
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(None, job_document, self._ledger, job_id)
        except UnknownJobError as error:
            raise RefusedError("expired", str(error), 404) from None
        except LedgerUnavailableError as error:
            raise RefusedError("away", str(error), 503) from None
        self.finish({"job": found})
