"""What a run shows while it goes on, and the table it ends with."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from pixfleet.config.prices import from_nano
from pixfleet.producer.terminal import messages, size

if TYPE_CHECKING:
    from decimal import Decimal

    from pixfleet.producer.ledger import BatchStatus

    from .compare import CompareResult
    from .run import RunResult


def usd(money: Decimal | float) -> str:
    """Dollars to read: small sums keep their digits, three of them at the least."""
    if money >= 1:
        return f"${money:,.2f}"
    return f"${money:.{max(6, 2 - math.floor(math.log10(money))) if money else 6}f}"


def saved_share(before: int, after: int) -> str:
    """How much smaller, in words that are right for larger as well."""
    if not before:
        return "–"
    share = 100 * (1 - after / before)
    return f"{share:.0f}% smaller" if share >= 0 else f"{-share:.0f}% larger"


class Progress:
    """Live figures on a terminal; silent elsewhere."""

    def __init__(self) -> None:
        self._live = Live(console=messages, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        if messages.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, status: BatchStatus, elapsed_s: float) -> None:
        """Draw where the batch stands."""
        if not self._live.is_started:
            return
        rate = status.ended / elapsed_s if elapsed_s > 0 else 0
        left = (status.submitted - status.ended) / rate if rate else None
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=max(status.submitted, 1), completed=status.ended, width=30),
            f"{status.ended}/{status.submitted}",
            f"{rate:.1f} images/s",
            f"{left:.0f} s left" if left is not None else "starting",
        )
        cost = usd(from_nano(status.cost_nano_usd))
        facts = Table.grid(padding=(0, 1))
        facts.add_row(
            f"{status.done} done",
            f"[red]{status.failed} failed[/]" if status.failed else "0 failed",
            f"{size(status.bytes_in)} in, {size(status.bytes_out)} out",
            f"{status.memo_hits} memo hits",
            f"spent {cost}",
        )
        view = Table.grid()
        view.add_row(bar)
        view.add_row(facts)
        self._live.update(view)


def print_result(result: RunResult) -> None:
    """The table a run ends with, on stdout."""
    summary = result.summary
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(overflow="fold", no_wrap=False)
    rate = summary.images / result.wall_s if result.wall_s else 0
    failed = f"[red]{summary.failed} failed[/]" if summary.failed else "0 failed"
    table.add_row("images", f"{summary.images}: {summary.done} done, {failed}")
    table.add_row("variants", f"{summary.variants:,}")
    table.add_row("bytes", f"{size(summary.bytes_in)} in, {size(summary.bytes_out)} out")
    table.add_row(
        "time",
        f"{result.wall_s:.1f} s, {rate:.2f} images/s, {summary.cpu_s:.1f} CPU s "
        f"(start-up {result.startup_s:.1f} s)",
    )
    table.add_row("cost", usd(summary.cost_usd))
    hits = "hit" if summary.memo_hits == 1 else "hits"
    table.add_row("memo", f"{summary.memo_hits} {hits}, saved {usd(summary.saved_usd)}")
    if not result.problem:
        place = result.output.rstrip("/")
        table.add_row("manifest", f"{place}/{summary.manifest}")
        table.add_row("report", f"{place}/{summary.report}")
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = 1000  # a pipe has no width: paths stay whole
    console.print(table)
    if result.closed:
        messages.print(f"{summary.failed} of {summary.images} images were not begun, or failed")
    elif summary.images and summary.failed:
        messages.print(f"{summary.failed} of {summary.images} images failed: the report says why")


def print_comparison(result: CompareResult) -> None:
    """The table a comparison ends with, on stdout, and where its page is."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("format", "promise", "at the same score", "at the same bytes", "better picture"):
        table.add_column(head)
    for one in result.totals["sums"]:
        saved, points, counts = one["saved"], one["points"], one["same_bytes"]
        table.add_row(
            one["format"],
            one["promise"],
            "no match" if saved is None else saved_share(1_000_000, round(1e6 * (1 - saved))),
            "no match" if points is None else f"{points:+.1f} points",
            ", ".join(f"{name} {count}" for name, count in counts.items() if count),
        )
    console = Console(file=sys.stdout, highlight=False)
    if result.images:
        console.print(table)
    console.print(f"page: {result.page}", soft_wrap=True, markup=False)
