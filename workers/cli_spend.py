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
from rich.progress_bar import ProgressBar
from rich.table import Table

from pixfleet.config.prices import from_nano
from pixfleet.producer.terminal import BrokerOption, JsonOption, fail, messages, print_json

if TYPE_CHECKING:
    from .spend.statement import Share, Statement

_AGO: Final = re.compile(r"(\d{1,4})([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}


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
    from .spend.statement import state  # noqa: PLC0415

    now = dt.datetime.now(dt.UTC)
    first = moment(since) or now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if since:  # sums are by the hour
        first = first.replace(minute=0, second=0, microsecond=0)
    last = moment(until)
    try:
        with ledger_at(broker) as ledger:
            entries = list(SpendBook(ledger).entries(first, last))
    except BrokerError as error:
        fail(str(error))
    if export:
        try:
            rows = write_entries(entries, export)
        except ExportError as error:
            fail(str(error))
        messages.print(f"{export}: {rows} sums")
        return
    for kind, wanted in (("tenant", tenant), ("recipe", recipe)):
        known = sorted({getattr(entry, kind) for entry in entries} - {""})
        if wanted and wanted not in known:
            there = ", ".join(known) or "none"
            fail(f"nothing was spent for the {kind} {wanted!r}; there is {there}")
    statement = state(
        entries, "line" if by is _By.STAGE else by.value, tenant=tenant, recipe=recipe
    )
    if json_:
        print_json(_document(statement, first, last))
        return
    if not entries:
        messages.print(
            f"nothing was spent since {first:%Y-%m-%d %H:%M} UTC; `pixfleet run samples --out out` "
            "does, or look further back: --since 90d"
        )
        return
    console = Console(file=sys.stdout)
    console.print(f"since {first:%Y-%m-%d %H:%M} UTC", highlight=False)
    console.print(_bill(statement))
    console.print()
    console.print(_shares(statement, by))
    _print_savings(statement, console)


def usd(nano: int) -> str:
    """Nano-dollars to read, to the micro-dollar; below one, what there is."""
    money = from_nano(nano)
    return f"{money:,.6f}" if nano == 0 or abs(nano) >= 1_000 else f"{money:,.9f}"  # noqa: PLR2004


def _bill(statement: Statement) -> Table:
    bill, images = statement.bill, statement.counts["images"]
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("", "USD", "share", "USD / 1,000 images", ""):
        table.add_column(column, justify="left" if not column else "right")
    lines = (
        ("jobs", bill.jobs, "stages of jobs"),
        ("rework", bill.rework, "attempts that were lost"),
        ("retries", bill.retry, "attempts put off"),
        ("overhead", bill.overhead, "workers themselves"),
        ("idle", bill.idle, "used by nobody"),
        ("= machines", bill.machines, "hours x price"),
        ("requests", bill.requests, "S3, SQS"),
        ("total", bill.total, ""),
    )
    for name, nano, meaning in lines:
        style = "bold" if name == "total" else "dim" if name.startswith("=") else ""
        share = f"{100 * nano / bill.total:.1f}%" if bill.total else "–"
        each = usd(round(nano * 1000 / images)) if images else "–"
        table.add_row(name, usd(nano), share, each, f"[dim]{meaning}[/]", style=style)
    return table


def _shares(statement: Statement, by: _By) -> Table:
    with_counts = by is not _By.STAGE
    columns = [
        by.value,
        "USD",
        "",
        *(("images", "USD / 1,000", "CPU s / image", "saved") if with_counts else ()),
    ]
    table = Table(box=None, header_style="dim", pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place and column else "left")
    most = max((share.nano_usd for share in statement.shares), default=0)
    for share in statement.shares:
        bar = ProgressBar(total=max(most, 1), completed=max(share.nano_usd, 0), width=20)
        table.add_row(share.name, usd(share.nano_usd), bar, *(_each(share) if with_counts else ()))
    return table


def _each(share: Share) -> tuple[str, ...]:
    images = share.counts["images"]
    return (
        f"{images:,}",
        usd(round(share.nano_usd * 1000 / images)) if images else "–",
        f"{share.counts['cpu_ms'] / 1000 / images:.3f}" if images else "–",
        usd(share.counts["saved_nano_usd"]),
    )


def _print_savings(statement: Statement, console: Console) -> None:
    counts = statement.counts
    console.print()
    console.print(
        f"{counts['images']:,} images, {counts['failed']:,} failed; jobs used "
        f"{100 * statement.bill.utilisation:.0f}% of the machines' time",
        highlight=False,
    )
    if counts["memo_hits"]:
        console.print(
            f"the memo spared {usd(counts['saved_nano_usd'])} USD in {counts['memo_hits']:,} hits",
            highlight=False,
        )
    if counts["adaptive_bytes"]:
        console.print(
            f"adaptive coding spared {counts['adaptive_bytes']:,} bytes, to keep and send them "
            f"{usd(counts['adaptive_nano_usd'])} USD",
            highlight=False,
        )


def _document(statement: Statement, first: dt.datetime, last: dt.datetime | None) -> dict[str, Any]:
    bill = statement.bill
    lines = {name: getattr(bill, name) for name in ("jobs", "rework", "retry", "overhead", "idle")}
    lines |= {"machines": bill.machines, "requests": bill.requests, "total": bill.total}
    return {
        "since": first.isoformat(),
        "until": last.isoformat() if last else None,
        "bill_usd": {name: f"{from_nano(nano):f}" for name, nano in lines.items()},
        "utilisation": round(bill.utilisation, 4),
        "shares": [
            {"name": share.name, "usd": f"{from_nano(share.nano_usd):f}", **share.counts}
            for share in statement.shares
        ],
        "counts": dict(statement.counts),
    }
