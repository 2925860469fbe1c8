"""The monitor process: a line whenever something moved, and /metrics and /healthz."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from pixfleet.config.budgets import FLEET
from pixfleet.config.settings import Settings, SettingsError
from pixfleet.config.state import running_broker
from pixfleet.producer.connection import LedgerUnavailableError, connect
from pixfleet.workers import logs
from pixfleet.workers.fleet.sweeper import SweepingThread

from .collect import FleetReader, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.metrics_core import Metric

_log = structlog.get_logger(__name__)


class FleetMetrics:
    """Prometheus metrics of the newest reading; docs/architecture.md lists them."""

    def __init__(self) -> None:
        self.reading: Reading | None = None

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets; nothing before the first reading."""
        reading = self.reading
        if reading is None:
            return
        queued = GaugeMetricFamily(
            "pixfleet_queued_jobs", "jobs that a worker could begin now", labels=["queue"]
        )
        for queue, count in reading.queued.items():
            queued.add_metric([queue], count)
        yield queued
        yield GaugeMetricFamily("pixfleet_held_jobs", "jobs that a budget holds back", reading.held)
        yield GaugeMetricFamily("pixfleet_running_jobs", "jobs in work", reading.running)
        yield GaugeMetricFamily("pixfleet_workers", "workers alive", reading.workers)
        for name, field, text in (
            ("images_done", "done", "images done"),
            ("images_failed", "failed", "images failed or partial"),
            ("variants", "variants", "variants made or recalled"),
            ("source_bytes", "bytes_in", "bytes of sources"),
            ("variant_bytes", "bytes_out", "bytes of variants"),
            ("memo_hits", "memo_hits", "computations that the memo spared"),
            ("interruptions", "interruptions", "workers that EC2 told of their machine's end"),
            ("rebalances", "rebalances", "workers that EC2 recommended to replace"),
            ("given_back", "given_back", "steps that workers gave back before they went"),
        ):
            yield CounterMetricFamily(f"pixfleet_{name}", text, reading.totals.get(field, 0))
        for name, field in (
            ("spend", "cost_nano_usd"),
            ("saved", "saved_nano_usd"),
            ("rework", "rework_nano_usd"),
        ):
            yield CounterMetricFamily(
                f"pixfleet_{name}_usd", f"{name}, US dollars", reading.totals.get(field, 0) / 1e9
            )
        yield CounterMetricFamily(
            "pixfleet_cpu_seconds", "CPU seconds of jobs", reading.totals.get("cpu_ms", 0) / 1e3
        )
        yield CounterMetricFamily(
            "pixfleet_rework_seconds",
            "wall seconds of given back steps that were thrown away",
            reading.totals.get("rework_ms", 0) / 1e3,
        )


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (inherited)
        """A scrape every few seconds is no news."""


def watch(broker: str | None) -> None:
    """Read the fleet at every interval until interrupted; a broker that is away is awaited."""
    settings = Settings.load()
    if url := broker or running_broker():
        settings = settings.with_broker(url)
    logs.set_up(settings.log)
    client = connect(settings.ledger_url)
    # A fleet scaled to nothing has nobody else to see that a job was lost.
    SweepingThread(settings, f"monitor@{socket.gethostname()}:{os.getpid()}").start()
    metrics = FleetMetrics()
    registry = CollectorRegistry()
    registry.register(metrics)
    place = settings.monitor
    application = _application(registry, metrics)
    try:
        server = make_server(place.host, place.port, application, handler_class=_Quiet)
    except OSError as error:
        raise SettingsError(
            f"PIXFLEET_MONITOR_PORT: {place.host}:{place.port} cannot be used ({error.strerror}); "
            "is another monitor running? Set it to a free port"
        ) from None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    _log.info("monitor.serving", url=f"http://{place.host}:{server.server_port}/metrics")
    fleet = FleetReader(client)
    before: Reading | None = None
    while True:
        try:
            reading = fleet.read()
            today_usd = fleet.today_usd(reading)
        except LedgerUnavailableError as error:
            metrics.reading = None
            _log.warning("monitor.blind", error=str(error))
        else:
            metrics.reading = reading
            if before is None or reading.totals != before.totals or reading.queued != before.queued:
                _log.info(
                    "fleet", **_figures(reading, before), today_usd=str(today_usd.get(FLEET, 0))
                )
            before = reading
        time.sleep(place.interval_s)


def _figures(reading: Reading, before: Reading | None) -> dict[str, object]:
    images = reading.totals.get("images", 0)
    figures: dict[str, object] = {
        "queued": sum(reading.queued.values()),
        "held": reading.held,
        "running": reading.running,
        "workers": reading.workers,
        "images": images,
        "failed": reading.totals.get("failed", 0),
    }
    if before:
        elapsed_s = reading.at_s - before.at_s
        figures["images_per_s"] = round((images - before.totals.get("images", 0)) / elapsed_s, 2)
    return figures


def _application(
    registry: CollectorRegistry, metrics: FleetMetrics
) -> Callable[..., Iterable[bytes]]:
    exposition = make_wsgi_app(registry)

    def application(environ: dict[str, str], start: Callable[..., object]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/healthz":
            healthy = metrics.reading is not None
            kind = [("Content-Type", "text/plain; charset=utf-8")]
            start("200 OK" if healthy else "503 Service Unavailable", kind)
            return [b"ok\n" if healthy else b"the broker does not answer\n"]
        return exposition(environ, start)

    return application
