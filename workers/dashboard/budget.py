"""The Budget page: what is spent, of which limits, by whom, and what was done about it."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Final, get_args

from tornado.web import HTTPError, url

from pixfleet.producer.ledger import Ledger
from pixfleet.workers.monitor.budget_view import GROUPS, BudgetView
from pixfleet.workers.monitor.spend_chart import Span

from .pages import DataHandler, JsonHandler, PageHandler
from .reader import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis
    from tornado.routing import URLSpec

    from pixfleet.config.settings import Settings

_HISTORY_EVERY_S: Final = 10.0


def handlers(client: redis.Redis, settings: Settings) -> list[URLSpec]:
    """Routes of the page."""
    view = BudgetView(Ledger(client, settings.queue, None))
    charts = {
        (span, group): Reader(
            f"budget {span} {group}", partial(view.history, span, group), _HISTORY_EVERY_S
        )
        for span, group in product(get_args(Span), GROUPS)
    }
    return [
        url(r"/budget", PageHandler, {"template": "budget.html", "tab": "budget"}, name="budget"),
        url(r"/budget/data", DataHandler, {"reader": Reader("budget", view.read)}),
        url(r"/budget/history", _ChartHandler, {"readers": charts}),
    ]


class _ChartHandler(JsonHandler):
    """Spend over a ``span``, stacked ``by`` stage, tenant or recipe."""

    def initialize(self, readers: Mapping[tuple[str, str], Reader]) -> None:
        self._readers = readers

    async def get(self) -> None:
        span, group = (self.get_query_argument(name, "") for name in ("span", "by"))
        reader = self._readers.get((span, group))
        if reader is None:
            known = [" ".join(pair) for pair in self._readers]
            raise HTTPError(400, f"span and by: one of {', '.join(known)}")
        await self.tell(reader)
