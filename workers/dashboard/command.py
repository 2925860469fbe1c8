"""``celery -A pixfleet.workers.app dashboard``: Flower, and the pages Fleet and Budget.

Celery imports this module for each of its commands: what only the dashboard needs, and Flower,
which may be missing, are imported when it starts.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import click
from celery.bin.base import CeleryCommand

from pixfleet.config.settings import SettingsError


@click.command(cls=CeleryCommand, context_settings={"ignore_unknown_options": True})
@click.argument("options", metavar="[FLOWER'S OPTIONS]", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def dashboard(context: click.Context, options: tuple[str, ...]) -> None:
    """Show the fleet, its money, its tasks and its workers in a browser.

    On http://127.0.0.1:PIXFLEET_MONITOR_FLOWER_PORT/. Takes Flower's options (--port, --url_prefix)
    and its variables (FLOWER_BASIC_AUTH=user:password).
    """
    if find_spec("flower") is None:
        raise click.ClickException("flower is not installed: pip install 'pixfleet[monitor]'")
    from .serve import serve  # noqa: PLC0415

    celery: Any = context.obj
    try:
        serve(celery.app, context, options, quiet=celery.quiet)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
