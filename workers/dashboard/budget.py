"""The Budget page: what today costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado.web import url

from pixfleet.workers.monitor.collect import FleetReader

from .pages import DataHandler, PageHandler
from .reader import Reader

if TYPE_CHECKING:
    import redis
    from tornado.routing import URLSpec

    from pixfleet.config.settings import Settings


def handlers(client: redis.Redis, settings: Settings) -> list[URLSpec]:  # noqa: ARG001 (as all pages)
    """Routes of the page."""
    fleet = FleetReader(client)

    def read() -> object:
        return {"today_usd": fleet.today_usd(fleet.read())}

    now = Reader("budget", read)
    return [
        url(r"/budget", PageHandler, {"template": "budget.html", "tab": "budget"}, name="budget"),
        url(r"/budget/data", DataHandler, {"reader": now}),
    ]
