"""The Fleet page: what works, what waits, and who shall go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tornado.web import url

from pixfleet.producer.roster import Roster, UnknownWorkerError
from pixfleet.workers.monitor.collect import FleetReader

from .pages import DataHandler, PageHandler, RefusedError, WriteHandler
from .reader import Reader

if TYPE_CHECKING:
    import redis
    from tornado.routing import URLSpec

    from pixfleet.config.settings import Settings

_DRAIN_S: Final = 120
"""As `pixfleet drain` gives a worker."""


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

    def drain(order: dict[str, Any]) -> object:
        """``{"worker": name}``: it takes no more work, and goes."""
        try:
            return roster.drain([str(order.get("worker"))], _DRAIN_S)
        except UnknownWorkerError as error:
            raise RefusedError("unknown", str(error), 404) from None

    now = Reader("fleet", read)
    return [
        url(r"/fleet", PageHandler, {"template": "fleet.html", "tab": "fleet"}, name="fleet"),
        url(r"/fleet/data", DataHandler, {"reader": now}),
        url(r"/fleet/drain", WriteHandler, {"act": drain, "reader": now}),
    ]
