"""The monitor process: a line whenever something moved, and /metrics and /healthz."""

from __future__ import annotations

import os
import socket
import threading
import time
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app

from pixfleet.config.budgets import FLEET
from pixfleet.config.settings import Settings, SettingsError
from pixfleet.config.state import running_broker
from pixfleet.producer.connection import LedgerUnavailableError
from pixfleet.workers import logs
from pixfleet.workers.fleet.sweeper import SweepingThread

from .metrics import FleetMetrics
from .rates import rates
from .snapshot import Camera, ForecastThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .collect import Reading

_FRESH_S: Final = 15.0
"""A Redis that hangs keeps a reading for half a minute; what is older than this, or than three
intervals, is not called the present."""
_SCRAPE_S: Final = 10.0
_log = structlog.get_logger(__name__)


class _Server(ThreadingMixIn, WSGIServer):
    """Who connects and then says nothing keeps nobody else waiting."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = _SCRAPE_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (inherited)
        """A scrape every few seconds is no news."""


def watch(broker: str | None) -> None:
    """Read the fleet at every interval until interrupted; a broker that is away is awaited.

    Raises:
        SettingsError: the port is taken, or the price book lacks a price that is needed.
    """
    settings = Settings.load()
    if url := broker or running_broker():
        settings = settings.with_broker(url)
    logs.set_up(settings.log)
    # A fleet scaled to nothing has nobody else to see that a job was lost.
    SweepingThread(settings, f"monitor@{socket.gethostname()}:{os.getpid()}").start()
    place = settings.monitor
    metrics = FleetMetrics(max(_FRESH_S, 3 * place.interval_s))
    _serve(settings, metrics)
    if place.cloudwatch_namespace:
        from .cloudwatch import CloudWatchThread  # noqa: PLC0415 (boto3 takes half a second)

        CloudWatchThread(settings, metrics).start()
    forecasts = ForecastThread(settings)
    forecasts.start()
    camera = Camera(settings)
    before: Reading | None = None
    while True:
        try:
            snapshot = camera.take()
        except LedgerUnavailableError as error:
            metrics.hide()
            _log.warning("monitor.blind", error=str(error))
        else:
            metrics.expected_usd = forecasts.expected_usd
            metrics.show(snapshot)
            reading = snapshot.reading
            if before is None or reading.totals != before.totals or reading.queued != before.queued:
                today_usd = str(snapshot.today_usd.get(FLEET, 0))
                _log.info("fleet", **_figures(reading, before), today_usd=today_usd)
            before = reading
        time.sleep(place.interval_s)


def _figures(reading: Reading, before: Reading | None) -> dict[str, object]:
    figures: dict[str, object] = {
        "queued": sum(reading.queued.values()),
        "held": reading.held,
        "running": reading.running,
        "workers": reading.workers,
        "images": reading.totals.get("images", 0),
        "failed": reading.totals.get("failed", 0),
    }
    if before and (moved := rates(before, reading)):
        figures["images_per_s"] = round(moved.images_per_s, 2)
    return figures


def _serve(settings: Settings, metrics: FleetMetrics) -> None:
    registry = CollectorRegistry()
    registry.register(metrics)
    place = settings.monitor
    application = _application(registry, metrics)
    try:
        server = make_server(place.host, place.port, application, _Server, _Quiet)
    except OSError as error:
        raise SettingsError(
            f"PIXFLEET_MONITOR_PORT: {place.host}:{place.port} cannot be used ({error.strerror}); "
            "is another monitor running? Set it to a free port"
        ) from None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    _log.info("monitor.serving", url=f"http://{place.host}:{server.server_port}/metrics")


def _application(
    registry: CollectorRegistry, metrics: FleetMetrics
) -> Callable[..., Iterable[bytes]]:
    exposition = make_wsgi_app(registry)

    def application(environ: dict[str, str], start: Callable[..., object]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/healthz":
            healthy = metrics.current is not None
            kind = [("Content-Type", "text/plain; charset=utf-8")]
            start("200 OK" if healthy else "503 Service Unavailable", kind)
            return [b"ok\n" if healthy else b"the broker does not answer\n"]
        return exposition(environ, start)

    return application
