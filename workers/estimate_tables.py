"""The tables that an estimate is told in."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from pixfleet.producer.terminal import messages, size

from .progress import usd

if TYPE_CHECKING:
    from collections.abc import Callable

    from .estimated import Estimate
    from .spend.extrapolate import Interval


def print_estimate(found: Estimate) -> None:
    """Three tables on stdout; what failed, and what else is to be known, on stderr."""
    console = Console(file=sys.stdout, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 1000
    read = "" if found.bytes_in is None else f", {size(found.bytes_in)}"
    sampled = len(found.sampled)
    for title, table in (
        (f"{found.images:,} images{read}; {sampled} of them were measured", _expected(found)),
        (f"Time; {found.machine}, cores as fast as those here", _times(found)),
        (f"The same elsewhere, on cores as fast; {found.price_book}", _machines(found)),
    ):
        console.print(title, soft_wrap=True)
        console.print(table)
        console.print()
    if sampled == found.images:
        messages.print("all images were measured: what is left to chance is the machine's time")
    for one in found.failures:
        for failure in one.manifest.failures:
            where = f" ({failure.variant})" if failure.variant else ""
            told = f"{one.manifest.source}: {failure.code}{where}: {failure.message}"
            messages.print(told, soft_wrap=True)
    if found.memo:
        messages.print(f"the memo was not asked what it knows: {found.memo}", soft_wrap=True)


def _expected(found: Estimate) -> Table:
    table = _table("", "expected", "90% between", "a million images")

    def add(name: str, interval: Interval, told: Callable[[float], str]) -> None:
        million = interval.expected / found.images * 1e6
        table.add_row(name, told(interval.expected), _between(interval, told), told(million))

    add("cost of the run", found.run_usd, usd)
    if any(one.known for one in found.sampled):
        add("  were nothing known", found.fresh_usd, usd)
    add("with storage and egress", found.life_usd, usd)
    for part, total in found.parts.items():
        add(f"  {part}", total.interval, usd)
    add("CPU seconds", found.cpu_s, lambda value: f"{value:,.1f}")
    add("bytes out", found.bytes_out, size)
    add("files", found.files, lambda value: f"{value:,.0f}")
    add("images that fail", found.failed, lambda value: f"{value:,.1f}")
    if not found.memo:
        add("images known", found.known, lambda value: f"{value:,.1f}")
    return table


def _times(found: Estimate) -> Table:
    table = _table("workers", "time", "paid for them")
    times = {one.workers: one for one in (*found.times, found.asked)}
    for one in sorted(times.values(), key=lambda one: one.workers):
        mark = "→ " if one.workers == found.asked.workers else ""
        table.add_row(f"{mark}{one.workers}", _duration(one.wall_s), usd(one.machine_usd))
    return table


def _machines(found: Estimate) -> Table:
    table = _table("machine", "compute", "rework", "with all else", "an image", "a million images")
    for quote in found.quotes:
        total = found.total_usd(quote)
        each = total / found.images
        row = (quote.compute_usd, quote.rework_usd, total, each, each * 10**6)
        table.add_row(quote.machine, *map(usd, row))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(first)
    for head in others:
        table.add_column(head, justify="right")
    return table


def _between(interval: Interval, told: Callable[[float], str]) -> str:
    high = told(interval.high) if math.isfinite(interval.high) else "?"
    return f"{told(interval.low)} – {high}"


def _duration(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004 (a minute)
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}"
