"""The command ``pixfleet health``: is the fleet well, or one worker of this machine."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pixfleet.config.settings import Settings
from pixfleet.config.state import pulse_dir, running_broker
from pixfleet.producer.connection import LedgerUnavailableError
from pixfleet.producer.terminal import (
    FAILED,
    BrokerOption,
    JsonOption,
    StateOption,
    fail,
    messages,
    print_json,
)

from .fleet.pulse import Pulse, read_pulses

if TYPE_CHECKING:
    from pathlib import Path


def health(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="with --worker: only the worker of this name")
    ] = "",
    worker: Annotated[
        bool, typer.Option("--worker", help="the workers of this machine, without asking a broker")
    ] = False,
    broker: BrokerOption = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Say whether the fleet is well or, for liveness probes, whether a worker here is.

    A worker whose broker is away is well: it waits. Exit code 0: well, 1: not.
    """
    if worker:
        _worker(name, pulse_dir(state), json_=json_)
        return
    if name:
        fail("a worker's name needs --worker: `pixfleet health --worker NAME`")
    _fleet(broker, json_=json_)


def _worker(name: str, folder: Path, *, json_: bool) -> None:
    now_s = time.monotonic()
    pulses = read_pulses(folder, name)
    ailments = {pulse.worker: pulse.ailment(now_s) for pulse in pulses}
    well = bool(pulses) and not any(ailments.values())
    if json_:
        rows = [_row(pulse, ailments[pulse.worker], now_s) for pulse in pulses]
        print_json({"healthy": well, "workers": rows})
    for pulse in pulses:
        since = f"{pulse.state} for {now_s - pulse.since_s:.0f} s"
        doing = f"{since}, {len(pulse.tasks)} tasks, {pulse.children} children"
        if not json_:
            sys.stdout.write(f"{pulse.worker}: {ailments[pulse.worker] or f'well ({doing})'}\n")
    if not pulses:
        who = f"worker {name}" if name else "worker"
        messages.print(f"no {who} of this machine has written to {folder} (PIXFLEET_STATE)")
    raise typer.Exit(0 if well else FAILED)


def _row(pulse: Pulse, ailment: str, now_s: float) -> dict[str, Any]:
    row = asdict(pulse)
    tasks = [task | {"for_s": round(now_s - task.pop("since_s"), 1)} for task in row.pop("tasks")]
    ages = {
        "for_s": now_s - row.pop("since_s"),
        "tick_age_s": now_s - row.pop("ticked_s"),
        "age_s": now_s - row.pop("written_s"),
    }
    return (
        row
        | {key: round(age, 1) for key, age in ages.items()}
        | {
            "tasks": tasks,
            "ailment": ailment,
        }
    )


def _fleet(broker: str | None, *, json_: bool) -> None:
    from .monitor.health import fleet_health  # noqa: PLC0415 (a probe of a worker needs no Redis)

    settings = Settings.load()
    if url := broker or running_broker():
        settings = settings.with_broker(url)
    try:
        found = fleet_health(settings)
    except LedgerUnavailableError as error:
        if json_:
            print_json({"healthy": False, "ailments": [str(error)]})
        else:
            sys.stdout.write(f"not well: {error}\n")
        raise typer.Exit(FAILED) from None
    if json_:
        print_json({"healthy": not found.ailments} | asdict(found))
    else:
        sys.stdout.write("".join(f"not well: {ailment}\n" for ailment in found.ailments))
        sys.stdout.write(
            f"{found.workers} workers alive, {found.running} jobs in work, {found.waiting} "
            f"waiting, {found.held} held by budgets, {found.overdue} whose lease is over\n"
        )
    raise typer.Exit(FAILED if found.ailments else 0)
