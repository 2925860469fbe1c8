"""Commands of the install with workers: run, up, doctor, monitor."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pixfleet.config.recipes import load_recipe
from pixfleet.config.state import state_dir
from pixfleet.producer.cli import (
    FAILED,
    BrokerOption,
    JsonOption,
    RecipeOption,
    fail,
    messages,
    print_json,
)

STARTED_S = time.monotonic()


def register(app: typer.Typer) -> None:
    """Add the commands to the command line; called through the entry point."""
    app.command()(run)
    app.command()(up)
    app.command()(doctor)
    app.command()(monitor)


def run(
    source: Annotated[str, typer.Argument(metavar="IN", help="file, folder, glob, s3:// prefix")],
    out: Annotated[str, typer.Option(help="folder or s3:// prefix for the results")],
    recipe: RecipeOption = "web",
    workers: Annotated[int, typer.Option(min=0, help="worker children; 0: one a core")] = 0,
    tenant: Annotated[str, typer.Option(help="who pays")] = "default",
    state: Annotated[
        Path | None, typer.Option(help="folder for broker and memo; default: the user's cache")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Process images with a fleet that is started, and stopped, for this run alone."""
    # What only this command needs is imported here: `pixfleet submit` should answer at once.
    from .embedded import BrokerError  # noqa: PLC0415
    from .fleet.process import WorkerStartError  # noqa: PLC0415
    from .progress import Progress, print_result  # noqa: PLC0415
    from .run import Order, RunFailedError, default_workers  # noqa: PLC0415
    from .run import run as run_order  # noqa: PLC0415

    resolved = load_recipe(recipe)
    place = out if "://" in out else str(Path(out).expanduser().absolute())
    order = Order(
        source=source,
        out=place,
        recipe=resolved,
        workers=workers or default_workers(),
        tenant=tenant,
        state=(state or state_dir()).expanduser().absolute(),
    )
    try:
        with Progress() as progress:
            result = run_order(order, STARTED_S, progress.show)
    except KeyboardInterrupt:
        messages.print("interrupted; what is done is remembered: the same command goes on")
        raise typer.Exit(130) from None
    except (RunFailedError, WorkerStartError, BrokerError) as error:
        fail(str(error), FAILED)
    if json_:
        print_json(result.as_json())
    else:
        print_result(result)
    if result.problem:
        messages.print(f"manifest and report could not be written: {result.problem}", markup=False)
    raise typer.Exit(FAILED if result.summary.failed or result.problem else 0)


def up(
    procfile: Annotated[
        Path | None, typer.Option(help="Procfile to run; default: the one here, else pixfleet's")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="folder for broker and memo; default: the user's cache")
    ] = None,
) -> None:
    """Run worker, monitor and Flower from the Procfile on the embedded broker, until Ctrl-C."""
    from .embedded import BrokerError  # noqa: PLC0415
    from .up import run_procfile  # noqa: PLC0415

    try:
        code = run_procfile(procfile, (state or state_dir()).expanduser().absolute())
    except BrokerError as error:
        fail(str(error), FAILED)
    raise typer.Exit(code)


def doctor(broker: BrokerOption = None, json_: JsonOption = False) -> None:
    """What works here, and how to mend what does not."""
    from .doctor import examine  # noqa: PLC0415

    findings = list(examine(broker))
    if json_:
        print_json([finding.as_json() for finding in findings])
    else:
        table = Table("", "part", "what was found", "what to do", box=None)
        marks = {"ok": "[green]✓[/]", "note": "[yellow]–[/]", "bad": "[red]✗[/]"}
        for finding in findings:
            table.add_row(marks[finding.level], finding.part, finding.found, finding.mend)
        Console(file=sys.stdout).print(table)
    raise typer.Exit(FAILED if any(finding.level == "bad" for finding in findings) else 0)


def monitor(broker: BrokerOption = None) -> None:
    """Watch queues, throughput and spend; serve /metrics and /healthz."""
    from .monitor.watch import watch  # noqa: PLC0415

    watch(broker)
