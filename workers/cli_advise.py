"""The command ``pixfleet advise``: what would make the fleet cheaper, by its own record."""

from __future__ import annotations

import datetime as dt
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pixfleet.config.prices import NANO, PriceError, load_prices
from pixfleet.config.settings import Settings
from pixfleet.producer.terminal import BrokerOption, JsonOption, fail, messages, print_json

from .cli_spend import moment

if TYPE_CHECKING:
    from .spend.advice.advice import Advice
    from .spend.advice.offers import Offer
    from .spend.advice.record import Record

_ROWS: Final = 12


def advise(
    since: Annotated[
        str, typer.Option(metavar="TIME", help="24h, 7d, 4w ago, or 2026-11-01")
    ] = "7d",
    book: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="price book; default: PIXFLEET_PRICES_BOOK")
    ] = "",
    broker: BrokerOption = None,
    json_: JsonOption = False,
) -> None:
    """Say what would make the fleet cheaper, each with its numbers, by the fleet's own record.

    Machines and terms, concurrency, idle time, recipes and their stages, the memo, requests, work
    in vain. Amounts are for a month like the time looked at; several of them overlap.
    """
    from .embedded import BrokerError  # noqa: PLC0415 (as below)
    from .look import ledger_at  # noqa: PLC0415 (what only this command needs)
    from .spend.advice.offers import demand_of, offers  # noqa: PLC0415
    from .spend.advice.reading import read_record  # noqa: PLC0415
    from .spend.advice.rules import advise as advice_on  # noqa: PLC0415

    settings = Settings.load()
    until = dt.datetime.now(dt.UTC)
    first = (moment(since) or until).replace(minute=0, second=0, microsecond=0)
    try:
        prices = load_prices(book or settings.money.book)
        with ledger_at(broker) as ledger:
            record = read_record(ledger, settings, prices, first, until)
    except (BrokerError, PriceError) as error:
        fail(str(error))
    advice = advice_on(record)
    demand = demand_of(record)
    machines = offers(record, demand) if demand else []
    if json_:
        print_json(_document(record, advice, machines))
        return
    if not record.works:
        messages.print(
            f"nothing was made since {first:%Y-%m-%d %H:%M} UTC; `pixfleet run samples --out out` "
            "does, or look further back: --since 90d"
        )
        return
    console = Console(file=sys.stdout, highlight=False)
    _print_head(console, record)
    console.print(_advice_table(advice))
    if machines:
        console.print()
        console.print(_machine_table(machines, record.machine))


def _print_head(console: Console, record: Record) -> None:
    from .spend.advice.advice import dollars  # noqa: PLC0415

    console.print(
        f"{record.images:,} images since {record.since:%Y-%m-%d %H:%M} UTC, on "
        f"{record.machine or 'machines that said no word'}, by {record.book.label}",
        soft_wrap=True,
    )
    console.print(
        f"a month like this costs {dollars(record.bill_usd * record.months)}"
        f" ({'this day' if record.days == 1 else f'these {record.days:.1f} days'} again and "
        "again); savings overlap, so they do not add up",
        soft_wrap=True,
    )
    console.print()


def _advice_table(advice: list[Advice]) -> Table:
    from .spend.advice.advice import dollars  # noqa: PLC0415

    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("USD a month", justify="right", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("why, and how", overflow="fold")
    styles = {"gain": "bold green", "fine": "", "unknown": "dim"}
    marks = {"fine": "–", "unknown": "?"}
    for one in advice:
        saves = marks.get(one.verdict) or f"{'≤ ' if one.at_most else ''}{dollars(one.saves_usd)}"
        text = Text(f"{one.what}\n", styles[one.verdict])
        text.append("\n".join(one.evidence), "dim")
        if one.change:
            text.append(f"\n→ {one.change}" if one.evidence else f"→ {one.change}")
        text.rstrip()
        table.add_row(Text(saves, styles[one.verdict]), Text(one.topic), text)
    return table


def _machine_table(machines: list[Offer], present: str) -> Table:
    from .spend.advice.advice import dollars  # noqa: PLC0415

    table = Table(box=None, header_style="dim", pad_edge=False, title_justify="left")
    for column in ("machine", "vCPUs", "children", "images / h", "USD / 1,000 images", "speed"):
        table.add_column(column, justify="left" if column == "machine" else "right")
    shown = machines[:_ROWS]
    shown += [offer for offer in machines[_ROWS:] if offer.machine == present]
    for offer in shown:
        here = offer.machine == present
        name = f"{offer.machine} (now)" if here else offer.machine
        cells = (
            (f"{offer.images_per_hour:,.0f}", dollars(offer.thousand_usd))
            if offer.children
            else ("too little memory", "–")
        )
        same = offer.instance == present.partition(" ")[0]
        speed = "1" if same else f"{offer.speed:.2f}" if offer.speed else "1?"
        table.add_row(
            *(name, str(offer.vcpus), str(offer.children), *cells, speed),
            style="bold" if here else "",
        )
    more = len(machines) - len(shown)
    table.caption = (
        "speed: of a vCPU, by the pixels that both have made; 1? was not measured. No idle time is "
        f"in these costs.{f' {more} dearer ones: --json' if more else ''}"
    )
    table.caption_justify = "left"
    return table


def _document(record: Record, advice: list[Advice], machines: list[Offer]) -> dict[str, Any]:
    return {
        "since": record.since.isoformat(),
        "until": record.until.isoformat(),
        "images": record.images,
        "machine": record.machine,
        "price_book": record.book.label,
        "month_usd": f"{(record.bill_usd * record.months).quantize(NANO):f}",
        "advice": [
            {
                "topic": one.topic,
                "verdict": one.verdict,
                "what": one.what,
                "saves_usd_month": f"{one.saves_usd.quantize(NANO):f}",
                "at_most": one.at_most,
                "evidence": list(one.evidence),
                "change": one.change,
            }
            for one in advice
        ],
        "machines": [
            {
                "machine": offer.machine,
                "vcpus": offer.vcpus,
                "children": offer.children,
                "images_per_hour": round(offer.images_per_hour, 1),
                "usd_per_1000_images": f"{offer.thousand_usd.quantize(NANO):f}",
                "speed_measured": offer.speed,
            }
            for offer in machines
        ],
    }
