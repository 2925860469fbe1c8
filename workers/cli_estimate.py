"""``pixfleet estimate``: what a run will cost and take, before it is begun."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pixfleet.config.prices import PriceError
from pixfleet.config.recipes import load_recipe
from pixfleet.config.settings import Settings
from pixfleet.config.state import state_dir
from pixfleet.producer.terminal import (
    FAILED,
    JsonOption,
    RecipeOption,
    StateOption,
    fail,
    messages,
    print_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .estimate import Estimate, Time
    from .spend.extrapolate import Interval


def estimate(
    source: Annotated[
        str,
        typer.Argument(metavar="IN", help="file, folder, glob, s3://bucket/prefix, https:// URL"),
    ],
    recipe: RecipeOption = "web",
    sample: Annotated[
        int, typer.Option(min=1, metavar="N", help="images to process, spread over all sizes")
    ] = 20,
    workers: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="whose time is told; 0: as many as cores here"),
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="of the choice of the sample")] = 0,
    out: Annotated[
        str,
        typer.Option(
            metavar="OUT",
            help="where results would go, so that s3:// requests are counted; nothing is written",
        ),
    ] = "",
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Say what a run will cost and how long it will take, from a sample.

    The sample is processed in a fleet of its own, and its results are thrown away. Exit code 0:
    done, whatever failed in the sample, 1: nothing of it could be made, 2: wrong usage.
    """
    # What only this command needs is imported here: `pixfleet submit` should answer at once.
    from .cli import STARTED_S  # noqa: PLC0415
    from .embedded import BrokerError  # noqa: PLC0415
    from .estimate import EstimateFailedError, Question  # noqa: PLC0415
    from .estimate import estimate as answer  # noqa: PLC0415
    from .fleet.process import WorkerStartError  # noqa: PLC0415
    from .progress import Progress  # noqa: PLC0415
    from .run import RunFailedError  # noqa: PLC0415

    question = Question(
        source=source,
        out=out,
        recipe=load_recipe(recipe),
        sample=sample,
        workers=workers or Settings.load().worker.children,
        seed=seed,
        state=(state or state_dir()).expanduser().absolute(),
    )
    ready_s = time.monotonic() - STARTED_S
    try:
        with Progress() as progress:
            found = answer(question, ready_s, progress.show)
    except KeyboardInterrupt:
        messages.print("interrupted; nothing was kept")
        raise typer.Exit(130) from None
    except PriceError as error:
        fail(str(error))
    except (EstimateFailedError, RunFailedError, WorkerStartError, BrokerError) as error:
        fail(str(error), FAILED)
    if json_:
        print_json(found.as_json())
    else:
        _print(found)


def _print(found: Estimate) -> None:
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = 1000
    for table in (_expected(found), _times(found), _machines(found)):
        console.print(table)
        console.print()
    sampled = len(found.sampled)
    if sampled == found.images:
        messages.print(f"all {sampled} images were measured: nothing is left to chance but time")
    for one in found.failures:
        for failure in one.manifest.failures:
            where = f" ({failure.variant})" if failure.variant else ""
            messages.print(f"{one.manifest.source}: {failure.code}{where}: {failure.message}")
    if found.memo:
        messages.print(f"the memo was not asked what it knows: {found.memo}")


def _expected(found: Estimate) -> Table:
    from .progress import size  # noqa: PLC0415 (imports the live view)

    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("", "expected", "90% between", "an image", "a million"):
        table.add_column(head, justify="left" if not head else "right")

    def add(name: str, interval: Interval, told: Callable[[float], str]) -> None:
        each = interval.expected / found.images
        table.add_row(
            name,
            told(interval.expected),
            _between(interval, told),
            told(each),
            told(each * 1e6),
        )

    add("run", found.run_usd, _usd)
    if any(one.known for one in found.sampled):
        add("  were nothing known", found.fresh_usd, _usd)
    for part, total in found.parts.items():
        add(f"  {part}", total.interval, _usd)
    add("with storage and egress", found.life_usd, _usd)
    add("CPU seconds", found.cpu_s, lambda value: f"{value:,.1f}")
    add("bytes out", found.bytes_out, size)
    add("files", found.files, lambda value: f"{value:,.0f}")
    add("images that fail", found.failed, lambda value: f"{value:,.1f}")
    if not found.memo:
        add("images known", found.known, lambda value: f"{value:,.1f}")
    read = "" if found.bytes_in is None else f", {size(found.bytes_in)}"
    table.title = f"{found.images:,} images{read}; {len(found.sampled)} were measured"
    table.title_justify = "left"
    return table


def _times(found: Estimate) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    table.title = f"Time, workers with cores like these here ({found.machine})"
    for head in ("workers", "time", "cores, paid to the end"):
        table.add_column(head, justify="right")
    times = {one.workers: one for one in (*found.times, found.asked)}
    for one in sorted(times.values(), key=lambda one: one.workers):
        table.add_row(*_time_row(one, asked=one.workers == found.asked.workers))
    return table


def _time_row(one: Time, *, asked: bool) -> tuple[str, str, str]:
    return f"{'→ ' if asked else ''}{one.workers}", _duration(one.wall_s), _usd(one.machine_usd)


def _machines(found: Estimate) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    table.title = f"The same on other machines ({found.price_book})"
    for head in ("machine", "compute", "rework", "with all else", "an image", "a million"):
        table.add_column(head, justify="left" if head == "machine" else "right")
    for quote in found.quotes:
        total = found.total_usd(quote)
        each = total / found.images
        row = (quote.compute_usd, quote.rework_usd, total, each, each * 10**6)
        table.add_row(quote.machine, *map(_usd, row))
    return table


def _between(interval: Interval, told: Callable[[float], str]) -> str:
    high = told(interval.high) if math.isfinite(interval.high) else "?"
    return f"{told(interval.low)} – {high}"


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:,.6f}"


def _duration(seconds: float) -> str:
    minutes, left = divmod(seconds, 60)
    if not minutes:
        return f"{left:.1f} s"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{left:02.0f}"
