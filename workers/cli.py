"""Commands of the install with workers, from run to flower and health."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pixfleet.config.recipes import load_recipe
from pixfleet.config.settings import Settings
from pixfleet.config.state import state_dir
from pixfleet.producer.terminal import (
    CLOSED,
    FAILED,
    BrokerOption,
    JsonOption,
    OutOption,
    RecipeOption,
    StateOption,
    TenantOption,
    fail,
    messages,
    print_json,
)

from .cli_advise import advise
from .cli_budget import budget_app
from .cli_compare import compare
from .cli_estimate import estimate
from .cli_explain import explain
from .cli_health import health
from .cli_prices import prices_app
from .cli_spend import spend
from .cli_top import top
from .cli_tune import tune


def _began_s() -> float:
    """When this process began, on the monotonic clock: who waits for it waits for imports too."""
    try:
        ticks = int(Path("/proc/self/stat").read_text("utf-8").rpartition(")")[2].split()[19])
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):  # no Linux
        age_s = 0.0
    return time.monotonic() - age_s


STARTED_S = _began_s()


def register(app: typer.Typer) -> None:
    """Add the commands to the command line; called through the entry point."""
    app.command()(run)
    app.command()(estimate)
    app.command()(explain)
    app.command()(compare)
    app.command()(up)
    app.command()(doctor)
    app.command()(monitor)
    app.command()(health)
    app.command()(top)
    app.command()(flower)
    app.add_typer(prices_app, name="prices")
    app.command()(spend)
    app.command()(advise)
    app.command()(tune)
    app.add_typer(budget_app, name="budget")


def run(
    source: Annotated[
        str,
        typer.Argument(metavar="IN", help="file, folder, glob, s3://bucket/prefix, https:// URL"),
    ],
    out: OutOption,
    recipe: RecipeOption = "web",
    workers: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="images in work at once; 0: as many as cores"),
    ] = 0,
    tenant: TenantOption = "default",
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Process images here and now, with a fleet of its own.

    Broker and worker are started for this run and stopped after it. Results are remembered: a
    second run over the same images takes no imaging work. Exit code 0: all done, 1: some images
    failed, 2: wrong usage, 3: its budget is closed.
    """
    # What only this command needs is imported here: `pixfleet submit` should answer at once.
    from .embedded import BrokerError  # noqa: PLC0415
    from .fleet.process import WorkerStartError  # noqa: PLC0415
    from .progress import Progress, print_result  # noqa: PLC0415
    from .run import Order, RunFailedError  # noqa: PLC0415
    from .run import run as run_order  # noqa: PLC0415

    resolved = load_recipe(recipe)
    place = out if "://" in out else str(Path(out).expanduser().absolute())
    order = Order(
        source=source,
        out=place,
        recipe=resolved,
        workers=workers or Settings.load().worker.children,
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
        messages.print(f"manifest and report could not be written: {result.problem}")
    if result.closed:
        fail(result.closed, CLOSED)
    raise typer.Exit(FAILED if result.summary.failed or result.problem else 0)


def up(
    procfile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="processes to run instead of worker, monitor and dashboard",
        ),
    ] = None,
    state: StateOption = None,
) -> None:
    """Run a fleet here until Ctrl-C: worker, monitor, dashboard.

    On PIXFLEET_BROKER, else on an embedded broker, which `pixfleet submit` in another terminal
    finds by itself. A worker that is told to stop finishes its images, or gives them back.
    """
    from .embedded import BrokerError  # noqa: PLC0415
    from .up import run_procfile  # noqa: PLC0415

    try:
        code = run_procfile(procfile, (state or state_dir()).expanduser().absolute())
    except BrokerError as error:
        fail(str(error), FAILED)
    raise typer.Exit(code)


def doctor(broker: BrokerOption = None, json_: JsonOption = False) -> None:
    """Check what works here, and say how to mend what does not.

    Exit code 0: all works, 1: something does not.
    """
    from .doctor import examine  # noqa: PLC0415

    findings = list(examine(broker))
    if json_:
        print_json([finding.as_json() for finding in findings])
    else:
        table = Table(box=None, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        marks = {"ok": ("✓", "green"), "note": ("–", "yellow"), "bad": ("✗", "red")}
        for finding in findings:
            mark, colour = marks[finding.level]
            said = f"{finding.found}\n→ {finding.mend}" if finding.mend else finding.found
            table.add_row(Text(mark, colour), Text(finding.part), Text(said))
        Console(file=sys.stdout).print(table)
    raise typer.Exit(FAILED if any(finding.level == "bad" for finding in findings) else 0)


def monitor(broker: BrokerOption = None) -> None:
    """Watch queues, throughput and spend; serve /metrics and /healthz.

    /metrics is for Prometheus; /healthz answers 503 while the broker is away.
    """
    from .monitor.watch import watch  # noqa: PLC0415

    watch(broker)


def flower(broker: BrokerOption = None) -> None:
    """Show the dashboard: Flower's pages and the fleet's, on PIXFLEET_MONITOR_FLOWER_PORT.

    The same as `celery -A pixfleet.workers.app dashboard`, which takes Flower's options. Those are
    environment variables, too, such as FLOWER_BASIC_AUTH=user:password.
    """
    command = [sys.executable, "-m", "celery", "--app=pixfleet.workers.app", "dashboard"]
    environment = {**os.environ, **({"PIXFLEET_BROKER": broker} if broker else {})}
    os.execve(sys.executable, command, environment)  # noqa: S606 (no shell is what we want)
