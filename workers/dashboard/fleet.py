"""The Fleet page: what works, what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado.web import url

from pixfleet.producer.roster import Roster
from pixfleet.workers.monitor.collect import FleetReader

from .pages import DataHandler, PageHandler
from .reader import Reader

if TYPE_CHECKING:
    import redis
    from tornado.routing import URLSpec

    from pixfleet.config.settings import Settings


def handlers(client: redis.Redis, settings: Settings) -> list[URLSpec]:  # noqa: ARG001 (as all pages)
    """Routes of the page."""
    fleet, roster = FleetReader(client), Roster(client)

    def read() -> object:
        reading = fleet.read()
        return {
            "at_s": reading.at_s,
            "queued": dict(reading.queued),
            "running": reading.running,
            "held": reading.held,
            "hour_usd": reading.hour_usd,
            "workers": roster.workers(),
        }

    now = Reader("fleet", read)
    return [
        url(r"/fleet", PageHandler, {"template": "fleet.html", "tab": "fleet"}, name="fleet"),
        url(r"/fleet/data", DataHandler, {"reader": now}),
    ]
