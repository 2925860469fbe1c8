"""The command ``pixfleet budget`` and those below it."""

from __future__ import annotations

import datetime as dt
import sys
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path  # noqa: TC003 (typer reads annotations at run time)
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from pixfleet.config.budgets import RUNGS, BudgetError, Period, load_budgets, make_budget
from pixfleet.producer.terminal import BrokerOption, JsonOption, fail, messages, print_json

from .cli_alerts import alerts, forecast, ledger_of, print_troubles, try_channels
from .spend.event import dollars

if TYPE_CHECKING:
    from collections.abc import Generator

    from .spend.budgets import BudgetBook, Standing

budget_app = typer.Typer(
    help="Say what the fleet, a tenant or a recipe may spend, and see how it stands.",
    invoke_without_command=True,
)
OwnerArgument = Annotated[
    str, typer.Argument(metavar="OWNER", help="fleet, tenant:NAME or recipe:NAME")
]
_BAR: Final = 12
_COLOURS: Final = dict(zip(RUNGS, ("green", "yellow", "dark_orange", "red"), strict=True))


def _share(text: str) -> float | None:
    if text == "never":
        return None
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a share of the limit nor never") from None


def _shares(text: str) -> tuple[float, ...]:
    shares = [_share(part.strip()) for part in text.split(",") if part.strip() != "never"]
    return tuple(share for share in shares if share is not None)


@contextmanager
def _book(broker: str | None) -> Generator[BudgetBook]:
    from .spend.budgets import BudgetBook  # noqa: PLC0415 (what only these commands need)

    with ledger_of(broker) as ledger:
        yield BudgetBook(ledger)


@budget_app.callback()
def budget(context: typer.Context, broker: BrokerOption = None, json_: JsonOption = False) -> None:
    """Say what the fleet, a tenant or a recipe may spend, and see how it stands."""
    if context.invoked_subcommand is None:
        list_budgets(broker, json_)


@budget_app.command("list")
def list_budgets(broker: BrokerOption = None, json_: JsonOption = False) -> None:
    """Show every budget: what is spent of it, and what it lets pass now."""
    from .spend.alert_log import AlertLog  # noqa: PLC0415 (as above)
    from .spend.budgets import BudgetBook  # noqa: PLC0415

    with ledger_of(broker) as ledger:
        standings, troubles = BudgetBook(ledger).standings(), AlertLog(ledger.redis).troubles()
    print_troubles(troubles)
    if json_:
        print_json([_document(standing) for standing in standings])
    elif standings:
        Console(file=sys.stdout).print(_table(standings))
    else:
        messages.print("no budgets; set one: pixfleet budget set fleet --limit 25 --period month")


@budget_app.command()
def show(owner: OwnerArgument, broker: BrokerOption = None, json_: JsonOption = False) -> None:
    """Show the budgets of one owner: each threshold, and how far it is."""
    with _book(broker) as book:
        found = [one for one in book.standings() if one.budget.owner == owner]
    if not found:
        fail(f"{owner} has no budget; `pixfleet budget` lists those that there are")
    if json_:
        print_json([_document(standing) for standing in found])
        return
    for one in found:
        Console(file=sys.stdout).print(_facts(one))


@budget_app.command("set")
def set_budget(
    owner: OwnerArgument,
    limit: Annotated[str, typer.Option(metavar="USD", help="what may be spent in a period")],
    period: Annotated[Period, typer.Option(help="of UTC; weeks begin on Monday")] = "month",
    thrifty: Annotated[
        str, typer.Option(metavar="SHARE", help="from here on with the least effort; or never")
    ] = "0.8",
    essential: Annotated[
        str, typer.Option(metavar="SHARE", help="from here on bulk jobs wait; or never")
    ] = "0.9",
    closed: Annotated[
        str, typer.Option(metavar="SHARE", help="from here on jobs are refused; or never")
    ] = "1.0",
    alert: Annotated[
        str, typer.Option(metavar="SHARES", help="alert when spend passes them; or never")
    ] = "0.5,0.8,1.0",
    forecast: Annotated[
        bool, typer.Option(help="alert when the period's end is expected beyond the limit")
    ] = True,
    idle: Annotated[
        bool, typer.Option(help="the fleet's: count time of machines that no job used")
    ] = True,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Set a budget, or change it; it acts at once.

    On the way to the limit the fleet turns thrifty, then keeps bulk jobs waiting, then refuses new
    jobs. What is queued is kept, and goes on when the period ends or the limit is raised.
    """
    fields: dict[str, Any] = {
        "owner": owner,
        "period": period,
        "limit_usd": limit,
        "thrifty_at": _share(thrifty),
        "essential_at": _share(essential),
        "closed_at": _share(closed),
        "alert_at": _shares(alert),
        "forecast": forecast,
        "idle": idle,
    }
    try:
        wanted = make_budget(fields, f"budget of {owner}")
    except BudgetError as error:
        fail(str(error))
    with _book(broker) as book:
        book.put([wanted])
        (standing,) = (one for one in book.standings() if one.budget.id == wanted.id)
    if json_:
        print_json(_document(standing))
        return
    messages.print(
        f"{owner} may spend {dollars(wanted.limit_usd)} USD per {period}; "
        f"{dollars(standing.spent_usd)} are spent, so it is {standing.rung}",
        soft_wrap=True,
    )


@budget_app.command("remove")
def remove_budget(
    owner: OwnerArgument,
    period: Annotated[Period | None, typer.Option(help="default: all periods")] = None,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Take a budget away; jobs that it holds go on within seconds."""
    with _book(broker) as book:
        gone = book.remove(owner, period)
    if json_:
        print_json(gone)
    if not gone:
        fail(f"{owner} has no budget{f' for the {period}' if period else ''}")
    for name in gone if not json_ else ():
        messages.print(f"{name.replace('|', ' ')}: removed")


@budget_app.command("apply")
def apply_budgets(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML, a table [[budget]] each")],
    prune: Annotated[bool, typer.Option("--prune", help="remove all others")] = False,
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Set all budgets of a file; a faulty file changes nothing.

    A fleet whose PIXFLEET_BUDGETS_FILE names the file does so by itself whenever it changes.
    """
    try:
        budgets = load_budgets(file)
    except BudgetError as error:
        fail(str(error))
    removed: list[str] = []
    with _book(broker) as book:
        known = {standing.budget.id for standing in book.standings()}
        changed = book.put(budgets)
        if prune:
            for name in sorted(known - {one.id for one in budgets}):
                owner, _, period = name.partition("|")
                removed += book.remove(owner, period)
    if json_:
        print_json({"changed": [one.id for one in changed], "removed": removed})
        return
    for one in changed:
        messages.print(
            f"{one.owner}: {dollars(one.limit_usd)} USD per {one.period}", soft_wrap=True
        )
    for name in removed:
        messages.print(f"{name.replace('|', ' ')}: removed")
    if not changed and not removed:
        messages.print("nothing has changed")


def _table(standings: list[Standing]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("owner", "period", "limit", "spent", "", "", "now", "held", "ends in"):
        table.add_column(
            column, justify="left" if column in ("owner", "period", "now") else "right"
        )
    for one in standings:
        colour = _COLOURS[one.rung]
        table.add_row(
            one.budget.owner,
            one.budget.period,
            dollars(one.budget.limit_usd),
            dollars(one.spent_usd),
            _bar(one.share, colour),
            f"[{colour}]{100 * one.share:.0f}%[/]",
            f"[{colour}]{one.rung}[/]",
            f"{one.held:,}" if one.held else "",
            _left(one),
        )
    return table


def _bar(share: float, colour: str) -> str:
    filled = min(_BAR, round(share * _BAR))
    return f"[{colour}]{'━' * filled}[/][dim]{'━' * (_BAR - filled)}[/]"


def _facts(one: Standing) -> Table:
    budget = one.budget
    table = Table(box=None, show_header=False, pad_edge=False)
    now = f"[{_COLOURS[one.rung]}]{one.rung}[/]"
    since = f" since {one.since:%Y-%m-%dT%H:%M:%SZ}" if one.rung != "normal" else ""
    table.add_row(f"{budget.owner}, {budget.period}", now + since)
    spent, limit = dollars(one.spent_usd), dollars(budget.limit_usd)
    table.add_row("spent", f"{spent} of {limit} USD, {100 * one.share:.0f}%")
    for rung, share in zip(RUNGS[1:], budget.rungs_at, strict=True):
        if share is not None:
            at_usd = budget.limit_usd * Decimal(str(share))
            table.add_row(f"{rung} from", f"{100 * share:g}%, {dollars(at_usd)} USD")
    table.add_row("alerts at", ", ".join(f"{100 * share:g}%" for share in budget.alert_at) or "–")
    table.add_row("jobs held", f"{one.held:,}")
    table.add_row("ends", f"{one.ends_at:%Y-%m-%dT%H:%M:%SZ}, in {_left(one)}")
    return table


def _left(one: Standing) -> str:
    left = max(dt.timedelta(0), one.ends_at - dt.datetime.now(dt.UTC))
    hours, days = left.seconds // 3600, left.days
    return f"{days}d {hours:02}h" if days else f"{hours}h {left.seconds % 3600 // 60:02}m"


def _document(standing: Standing) -> dict[str, Any]:
    return {
        **standing.budget.model_dump(mode="json"),
        "spent_usd": f"{standing.spent_usd:f}",
        "share": round(standing.share, 6),
        "rung": standing.rung,
        "since": standing.since.isoformat(),
        "held": standing.held,
        "ends_at": standing.ends_at.isoformat(),
    }


budget_app.command("forecast")(forecast)
budget_app.command("alerts")(alerts)
budget_app.command("test-alert")(try_channels)
