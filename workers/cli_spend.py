"""The command ``pixfleet spend``."""

from __future__ import annotations

import datetime as dt
import re
import sys
from enum import StrEnum
from pathlib import Path  # noqa: TC003 (typer reads annotations at run time)
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from pixfleet.config.prices import from_nano
from pixfleet.producer.terminal import (
    BrokerOption,
    JsonOption,
    StateOption,
    fail,
    messages,
    print_json,
)

from .spend.statement import make_statement, per_images

if TYPE_CHECKING:
    from .spend.statement import Share, Statement

_AGO: Final = re.compile(r"(\d{1,4})([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}
_CENT: Final = 10**7
"""Nano-dollars from which on micro-dollars are enough to read."""


class _By(StrEnum):
    TENANT = "tenant"
    RECIPE = "recipe"
    STAGE = "stage"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


def moment(text: str | None) -> dt.datetime | None:
    """A time as people write it: ``24h``, ``7d``, ``2w`` ago, or ``2026-11-01``; UTC."""
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        count, unit = ago.groups()
        return dt.datetime.now(dt.UTC) - dt.timedelta(**{_UNITS[unit]: int(count)})
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write 24h, 7d, 2w, 2026-11-01 or 2026-11-01T08"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


def spend(
    by: Annotated[_By, typer.Option(help="whose share to show")] = _By.STAGE,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="24h, 7d, 2w ago, or 2026-11-01; default: this month, UTC"
        ),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="default: now")] = None,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="only this tenant's share")] = "",
    recipe: Annotated[str, typer.Option(metavar="NAME", help="only this recipe's share")] = "",
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="write every sum to a .csv, .jsonl or .parquet file"),
    ] = None,
    broker: BrokerOption = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Show what the fleet has cost: the bill line by line, and who caused it.

    Jobs, work in vain, overhead and idle time add up to the hours of the machines at their price.
    After a `pixfleet run` it shows what that run has cost.
    """
    from .embedded import BrokerError  # noqa: PLC0415 (as below)
    from .look import ledger_at  # noqa: PLC0415 (what only this command needs)
    from .spend.book import SpendBook  # noqa: PLC0415
    from .spend.export import ExportError, write_entries  # noqa: PLC0415

    now = dt.datetime.now(dt.UTC)
    first = moment(since) or now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last = moment(until)
    if last and last <= first:
        fail(f"--until {last:%Y-%m-%d %H:%M} is not after {first:%Y-%m-%d %H:%M} UTC")
    try:
        with ledger_at(broker, state) as ledger:
            entries = SpendBook(ledger).entries(first, last)
    except BrokerError as error:
        fail(str(error))
    for kind, wanted in (("tenant", tenant), ("recipe", recipe)):
        known = sorted({getattr(entry, kind) for entry in entries} - {""})
        if wanted and wanted not in known:
            there = ", ".join(known) or "none"
            fail(f"nothing was spent for the {kind} {wanted!r}; there is {there}")
    if export:
        chosen = (
            entry
            for entry in entries
            if tenant in ("", entry.tenant) and recipe in ("", entry.recipe)
        )
        try:
            rows = write_entries(chosen, export)
        except ExportError as error:
            fail(str(error))
        messages.print(f"{export}: {rows:,} sums", soft_wrap=True)
        return
    statement = make_statement(
        entries, "line" if by is _By.STAGE else by.value, tenant=tenant, recipe=recipe
    )
    first = min((first, *(entry.start for entry in entries)))  # sums of days are not divided
    if json_:
        print_json(_document(statement, first, last))
        return
    if not entries:
        messages.print(
            f"nothing was spent since {first:%Y-%m-%d %H:%M} UTC; `pixfleet run samples --out out` "
            "does, or look further back: --since 90d",
            soft_wrap=True,
        )
        return
    _print(statement, by, f"since {first:%Y-%m-%d %H:%M} UTC", of_fleet=not tenant and not recipe)


def _print(statement: Statement, by: _By, title: str, *, of_fleet: bool) -> None:
    console = Console(file=sys.stdout, highlight=False)
    console.print(title)
    console.print(_bill(statement, of_fleet=of_fleet))
    console.print()
    console.print(_shares(statement, by, of_fleet=of_fleet))
    console.print()
    for line in _facts(statement, of_fleet=of_fleet):
        console.print(line, soft_wrap=True)


def _usd(nano: int, like: int) -> str:
    """Nano-dollars to read, with as many places as ``like`` needs: micro-dollars, or all."""
    return f"{from_nano(nano):,.{6 if abs(like) >= _CENT else 9}f}"


def _bill(statement: Statement, *, of_fleet: bool) -> Table:
    bill, images = statement.bill, statement.counts["images"]
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("", "USD", "share", "USD / 1,000 images", ""):
        table.add_column(column, justify="right" if column else "left")
    lines = [
        ("jobs", bill.jobs, "stages of jobs"),
        ("rework", bill.rework, "attempts that were lost"),
        ("retries", bill.retry, "attempts put off"),
    ]
    if of_fleet:
        lines += [("overhead", bill.overhead, "workers themselves"), ("idle", bill.idle, "nobody")]
    lines += [
        ("= machines", bill.machines, "hours x price" if of_fleet else "without overhead and idle"),
        ("requests", bill.requests, "S3, SQS, CloudWatch"),
        ("total", bill.total, ""),
    ]
    for name, nano, meaning in lines:
        style = "bold" if name == "total" else "dim" if name.startswith("=") else ""
        share = f"{100 * nano / bill.total:.1f}%" if bill.total else "–"
        each = _usd(per_images(nano, images), per_images(bill.total, images)) if images else "–"
        table.add_row(name, _usd(nano, bill.total), share, each, f"[dim]{meaning}[/]", style=style)
    return table


def _shares(statement: Statement, by: _By, *, of_fleet: bool) -> Table:
    timed = of_fleet and by in (_By.HOUR, _By.DAY, _By.MONTH)
    columns = [by.value, "USD", ""]
    if timed:
        columns.append("of it unused")
    if by is not _By.STAGE:
        columns += ["images", "USD / 1,000", "CPU s / image", "saved"]
    table = Table(box=None, header_style="dim", pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place and column else "left")
    most = max((share.nano_usd for share in statement.shares), default=0)
    for share in statement.shares:
        bar = ProgressBar(total=max(most, 1), completed=max(share.nano_usd, 0), width=20)
        cells: list[str | ProgressBar] = [escape(share.name), _usd(share.nano_usd, most), bar]
        if timed:
            cells.append(_usd(share.unused_nano_usd, most))
        if by is not _By.STAGE:
            cells += _per_image(share, most)
        table.add_row(*cells)
    return table


def _per_image(share: Share, most: int) -> tuple[str, ...]:
    counts, images = share.counts, share.counts["images"]
    return (
        f"{images:,}",
        _usd(each := per_images(share.nano_usd, images), each) if images else "–",
        f"{counts['cpu_ms'] / 1000 / images:.3f}" if images else "–",
        _usd(counts["saved_nano_usd"], most),
    )


def _facts(statement: Statement, *, of_fleet: bool) -> list[str]:
    counts, bill = statement.counts, statement.bill
    facts = [f"{counts['images']:,} images, {counts['failed']:,} of them failed"]
    if counts["images"]:
        each = per_images(bill.total, counts["images"], 1)
        facts[0] += f"; {_usd(each, each)} USD an image"
    if of_fleet:
        facts.append(
            f"workers were at work in {100 * bill.utilisation:.0f}% of the time that is paid for"
        )
    if bill.overhead < 0:
        facts.append(
            "overhead is below zero until workers have said what CPU their newest jobs took, and "
            "where attempts that were lost, which are charged by the clock, have waited"
        )
    if counts["memo_hits"]:
        saved = counts["saved_nano_usd"]
        facts.append(f"the memo spared {_usd(saved, saved)} USD in {counts['memo_hits']:,} hits")
    if counts["adaptive_bytes"]:
        saved = counts["adaptive_nano_usd"]
        facts.append(
            f"adaptive coding spared {counts['adaptive_bytes']:,} bytes, to keep and send them "
            f"{_usd(saved, saved)} USD"
        )
    return facts


def _document(statement: Statement, first: dt.datetime, last: dt.datetime | None) -> dict[str, Any]:
    bill, images = statement.bill, statement.counts["images"]
    return {
        "since": first.isoformat(),
        "until": last.isoformat() if last else None,
        "bill_usd": {name: f"{from_nano(nano):f}" for name, nano in bill.lines().items()},
        "usd_per_1000_images": f"{from_nano(per_images(bill.total, images)):f}" if images else None,
        "utilisation": round(bill.utilisation, 4),
        "shares": [
            {
                "name": share.name,
                "usd": f"{from_nano(share.nano_usd):f}",
                "unused_usd": f"{from_nano(share.unused_nano_usd):f}",
                **share.counts,
            }
            for share in statement.shares
        ],
        "counts": dict(statement.counts),
    }
