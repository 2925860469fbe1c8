"""The commands ``pixfleet workers`` and ``pixfleet drain``."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .roster import Roster, UnknownWorkerError
from .terminal import FAILED, BrokerOption, JsonOption, fail, messages, print_json, producer

_PATIENCE_S = 30.0
"""Beyond the time that a worker was given: to hear of it, and to go."""


def workers(broker: BrokerOption = None, json_: JsonOption = False) -> None:
    """List the workers: working, at risk, draining or gone, and what they have in work.

    At risk: EC2 says that an interruption is likelier than usual. Gone: silent for 30 s.
    """
    found = _roster(broker).workers()
    if json_:
        print_json([asdict(worker) for worker in found])
        return
    table = Table("worker", "state", "why", "in work", "last sign of life", "goes within", box=None)
    for worker in found:
        busy = "–" if worker.active is None else f"{worker.active} of {worker.children}"
        ends_s = worker.ends_within_s
        table.add_row(
            worker.name,
            worker.state,
            worker.why or "–",
            busy,
            f"{worker.silent_s:.0f} s ago",
            "–" if ends_s is None else f"{ends_s:.0f} s",
        )
    Console().print(table)


def drain(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORKER…", help="names, as `pixfleet workers` lists them"),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="every worker that there is")] = False,
    within_s: Annotated[
        float,
        typer.Option("--within", min=0, metavar="SECONDS", help="how long what fits may take"),
    ] = 120,
    wait: Annotated[bool, typer.Option("--wait", help="return when they are gone")] = False,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Tell workers to take no more work, finish what fits, give back the rest, and go.

    Needs no remote control, so it works on SQS too. Exit code 0: told (with --wait: gone), 1:
    with --wait, somebody still was there when the time was up, 2: no such worker.
    """
    roster = _roster(broker)
    start_s = time.monotonic()
    if bool(names) == all_:
        fail("name the workers that shall go, or say --all; `pixfleet workers` lists them")
    wanted = names or [worker.name for worker in roster.workers() if worker.state != "gone"]
    try:
        told = roster.drain(wanted, within_s)
    except UnknownWorkerError as error:
        fail(str(error))
    here = roster.wait_gone(told, within_s + _PATIENCE_S) if wait else told
    waited_s = time.monotonic() - start_s
    if json_:
        gone = sorted(set(wanted) - set(here))
        print_json({"told": told, "gone": gone, "waited_s": round(waited_s, 3)})
    elif not told:
        messages.print("no worker is here to be told")
    elif wait and not here:
        messages.print(f"gone after {waited_s:.1f} s: {', '.join(told)}")
    elif not wait:
        messages.print(f"told to go: {', '.join(told)}")
    if wait and here:
        fail(f"still here after {waited_s:.0f} s: {', '.join(here)}", FAILED)


def _roster(broker: str | None) -> Roster:
    return Roster(producer(broker).ledger.redis)
