"""The command ``pixfleet top``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from pixfleet.producer.connection import LedgerUnavailableError
from pixfleet.producer.terminal import FAILED, BrokerOption, JsonOption, fail, print_json, producer


def top(
    interval_s: Annotated[
        float,
        typer.Option("--interval", min=0.2, max=3600, metavar="SECONDS", help="between two looks"),
    ] = 2,
    once: Annotated[bool, typer.Option("--once", help="one look, and leave")] = False,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Watch the fleet in this terminal: pace, queues, latencies, workers, failures, slow jobs.

    q or Ctrl-C leaves. Into a pipe, on a dumb terminal, and with --once or --json it is one look.
    Exit code 1: Redis does not answer.
    """
    from .monitor.fleet_document import document  # noqa: PLC0415 (imports what looks at fleets)
    from .top import Top, print_once, watch  # noqa: PLC0415

    found, screen = Top(producer(broker).ledger), Console(file=sys.stdout)
    try:
        if json_:
            print_json(document(found.look()))
        elif once or not screen.is_terminal or screen.is_dumb_terminal:
            print_once(found)
        else:
            watch(found, interval_s)
    except LedgerUnavailableError as error:
        fail(str(error), FAILED)
