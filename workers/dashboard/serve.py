"""Starts the dashboard: the fleet's settings, then Flower's options, then its server."""

from __future__ import annotations

import atexit
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

import click
from flower import command as flower
from flower.urls import settings as flower_settings
from tornado.options import options

from pixfleet.config.broker import celery_options, redis_url
from pixfleet.config.settings import Settings, SettingsError
from pixfleet.config.state import running_broker

from .access import Access
from .app import Dashboard

if TYPE_CHECKING:
    from celery import Celery

DEFAULTS: Final[dict[str, Any]] = {
    "address": "127.0.0.1",
    "logging": "error",
    # A task takes 4 kB, so Flower's own 100,000 take 400 MB; all of them are in the ledger.
    "max_tasks": 10_000,
    "max_workers": 5_000,
    # Spot workers come and go, and each has a name of its own.
    "purge_offline_workers": 3600,
    # Workers send their events anyway: no need to ask the whole fleet every five seconds.
    "enable_events": False,
}
"""Flower's options where neither command line, environment nor file says another."""


def serve(app: Celery, context: click.Context, arguments: tuple[str, ...], *, quiet: bool) -> None:
    """Serve until told to go.

    Raises:
        SettingsError: a setting is wrong, or others could come in without a password.
    """
    settings = _join_fleet(app)
    options.port = settings.monitor.flower_port
    for name, value in DEFAULTS.items():
        setattr(options, name, value)
    flower.warn_about_celery_args_used_in_flower_command(context, arguments)
    flower.apply_env_options()
    flower.apply_options(sys.argv[0], arguments)
    flower.extract_settings()
    flower.setup_logging()
    access = Access.of(options, settings.monitor.dashboard_hosts)
    dashboard = Dashboard(settings, access, capp=app, options=options, **flower_settings)
    atexit.register(dashboard.stop)
    signal.signal(signal.SIGTERM, flower.sigterm_handler)
    try:
        port = dashboard.start_http_server()
    except OSError as error:
        place = options.unix_socket or f"{options.address}:{options.port}"
        raise SettingsError(
            f"the dashboard cannot listen on {place} ({error.strerror}): name another place by "
            "PIXFLEET_MONITOR_FLOWER_PORT or Flower's options --port, --address, --unix_socket"
        ) from None
    if not quiet:
        click.echo(f"dashboard  {_url(port)}", err=True)
    try:
        dashboard.start()
    except (KeyboardInterrupt, SystemExit):
        return


def _join_fleet(app: Celery) -> Settings:
    """Put the app on the Redis of the fleet's ledger, where SQS fleets send their events, too.

    The answer are the fleet's own settings: what a button puts on a queue goes to that queue.
    """
    settings: Settings | None = app.conf.get("pixfleet_settings")
    if settings is None:
        raise SettingsError(
            "the dashboard shows a fleet of pixfleet: celery -A pixfleet.workers.app"
        )
    if url := running_broker():
        settings = settings.with_broker(url)
    app.conf.update(celery_options(settings.with_broker(redis_url(settings))))
    app.conf.broker_transport = None
    return settings


def _url(port: int | None) -> str:
    if port is None:
        return f"unix:{options.unix_socket}"
    scheme = "https" if "ssl_options" in flower_settings else "http"
    host = f"[{options.address}]" if ":" in options.address else options.address
    prefix = f"/{options.url_prefix.strip('/')}" if options.url_prefix else ""
    return f"{scheme}://{host or '127.0.0.1'}:{port}{prefix}/"
