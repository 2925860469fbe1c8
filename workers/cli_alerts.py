"""The commands ``pixfleet budget forecast``, ``alerts`` and ``test-alert``."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pixfleet.config.settings import Settings
from pixfleet.producer.terminal import (
    FAILED,
    BrokerOption,
    JsonOption,
    fail,
    messages,
    print_json,
    utc,
)

from .spend.event import BudgetEvent, dollars

if TYPE_CHECKING:
    from collections.abc import Generator

    from pixfleet.producer.ledger import Ledger

    from .spend.alert_log import Trouble
    from .spend.channels import Channel
    from .spend.outlook import Outlook


@contextmanager
def ledger_of(broker: str | None) -> Generator[Ledger]:
    """The ledger that a command about budgets looks at; says why there is none, and leaves."""
    from .embedded import BrokerError  # noqa: PLC0415 (as below)
    from .look import ledger_at  # noqa: PLC0415 (what only these commands need)

    try:
        with ledger_at(broker) as ledger:
            yield ledger
    except BrokerError as error:
        fail(str(error))


def forecast(broker: BrokerOption = None, json_: JsonOption = False) -> None:
    """Show what each budget's period is expected to cost, and when its limit is reached.

    The interval holds the end in 9 cases of 10. Nothing is said after less than half an hour.
    """
    from .spend.outlook import Outlooks  # noqa: PLC0415 (as above)

    with ledger_of(broker) as ledger:
        _, outlooks = Outlooks(ledger).look()
    if json_:
        print_json([_document(outlook) for outlook in outlooks])
    elif outlooks:
        Console(file=sys.stdout).print(_forecasts(outlooks))
    else:
        messages.print("no budgets; set one: pixfleet budget set fleet --limit 25 --period month")


def alerts(broker: BrokerOption = None, json_: JsonOption = False) -> None:
    """List what was told of budgets, the newest first, and channels that cannot be told now."""
    from .spend.alert_log import AlertLog  # noqa: PLC0415 (as above)

    with ledger_of(broker) as ledger:
        log = AlertLog(ledger.redis)
        told, troubles = log.told(), log.troubles()
    if json_:
        found = {name: asdict(trouble) for name, trouble in troubles.items()}
        print_json({"told": [asdict(one) for one in told], "troubles": found})
        return
    table = Table("at", "channel", "", "what", box=None, header_style="dim", pad_edge=False)
    for one in told:
        good = one.outcome == "delivered"
        mark = Text("told", "green") if good else Text("given up", "red")
        table.add_row(utc(one.at), one.channel, mark, Text(one.text))
    if told:
        Console(file=sys.stdout).print(table)
    else:
        messages.print("nothing was told yet; try: pixfleet budget test-alert")
    print_troubles(troubles)


def print_troubles(troubles: dict[str, Trouble]) -> None:
    """Say on stderr which channels cannot be told now, and how to mend that."""
    for name, trouble in troubles.items():
        messages.print(
            f"alerts by {name} fail since {utc(trouble.since)} ({trouble.tries} tries): "
            f"{trouble.problem}; {trouble.mend}",
            soft_wrap=True,
        )


def try_channels(
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="log, webhook, sns or cloudwatch; default: all"),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Send a test through every channel that is configured here (PIXFLEET_ALERTS_…).

    Exit code 0: all were told, 1: one was not.
    """
    from .spend.channels import channels_of  # noqa: PLC0415 (as above)

    channels = channels_of(Settings.load().alerts)
    names = [one.name for one in channels]
    if unknown := [name for name in channel or () if name not in names]:
        fail(
            f"{', '.join(unknown)}: not configured; there is {', '.join(names)}, and "
            "docs/money.md says how to add others"
        )
    chosen = [one for one in channels if not channel or one.name in channel]
    # The log is on stderr where a fleet runs; here stdout is for data.
    with redirect_stdout(sys.stderr), ThreadPoolExecutor(len(chosen)) as threads:
        results = list(threads.map(_try, chosen))
    if json_:
        print_json(results)
    else:
        for result in results:
            good = result["delivered"]
            line = Text.assemble(
                (f"{'✓' if good else '✗'} ", "green" if good else "red"),
                f"{result['channel']}: {'delivered' if good else result['problem']}",
                "" if good else f"\n  → {result['mend']}",
            )
            Console(file=sys.stdout, highlight=False).print(line, soft_wrap=True)
    raise typer.Exit(0 if all(result["delivered"] for result in results) else FAILED)


def _try(channel: Channel) -> dict[str, Any]:
    from .spend.channels import ChannelError  # noqa: PLC0415 (as above)

    said: dict[str, Any] = {"channel": channel.name, "delivered": True, "problem": "", "mend": ""}
    try:
        channel.tell([_test_event()])
    except ChannelError as error:
        said |= {"delivered": False, "problem": error.problem, "mend": error.mend}
    return said


def _test_event() -> BudgetEvent:
    now = time.time()
    return BudgetEvent.model_validate(
        {
            "id": f"test|{now:.6f}",
            "at": now,
            "owner": "test",
            "period": "hour",
            "kind": "test",
            "from": "normal",
            "to": "normal",
            "share": 0,
            "spent_nano_usd": 0,
            "limit_nano_usd": 0,
            "ends_at": now + 3600,
        }
    )


def _forecasts(outlooks: list[Outlook]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("owner", "period", "limit", "spent", "an hour", "expected", "interval"):
        left = column in ("owner", "period")
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    table.add_column("limit reached", no_wrap=True)
    for outlook in outlooks:
        standing, seen = outlook.standing, outlook.forecast
        budget = standing.budget
        row = [budget.owner, budget.period, dollars(budget.limit_usd), dollars(standing.spent_usd)]
        if seen is None:
            table.add_row(*row, "", "", "", "[dim]too little is known[/]")
            continue
        reached = seen.reaches(budget.limit_usd)
        if standing.spent_usd >= budget.limit_usd:
            when = "[red]is passed[/]"
        elif reached:
            when = f"[red]{reached:%Y-%m-%d %H:%M}[/]"
        else:
            when = "[green]no[/]"
        table.add_row(
            *row,
            dollars(seen.rate_usd_per_h),
            dollars(seen.expected_usd),
            f"{dollars(seen.low_usd)} – {dollars(seen.high_usd)}",
            when,
        )
    return table


def _document(outlook: Outlook) -> dict[str, Any]:
    standing, seen = outlook.standing, outlook.forecast
    found: dict[str, Any] = {
        "owner": standing.budget.owner,
        "period": standing.budget.period,
        "limit_usd": f"{standing.budget.limit_usd:f}",
        "spent_usd": f"{standing.spent_usd:f}",
        "ends_at": standing.ends_at.isoformat(),
    }
    if seen is None:
        return {**found, "forecast": None}
    reached = seen.reaches(standing.budget.limit_usd)
    now, _ = seen.course[0]
    return {
        **found,
        "forecast": {
            "rate_usd_per_h": f"{seen.rate_usd_per_h:f}",
            "expected_usd": f"{seen.expected_usd:f}",
            "low_usd": f"{seen.low_usd:f}",
            "high_usd": f"{seen.high_usd:f}",
            "history_h": round(seen.history_h, 2),
            "reaches_limit_at": reached.isoformat(timespec="seconds") if reached else None,
            "reaches_limit_in_s": round((reached - now).total_seconds()) if reached else None,
        },
    }
