"""The commands ``pixfleet prices list``, ``show`` and ``refresh``."""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 (typer reads annotations at run time)
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pixfleet.config.prices import NANO, PURCHASES, PriceError, built_in_books, load_prices
from pixfleet.config.settings import Settings
from pixfleet.config.state import state_dir
from pixfleet.producer.terminal import FAILED, JsonOption, fail, messages, print_json

from .spend.detection import charged
from .spend.price_rows import complaint, rows_of

if TYPE_CHECKING:
    from decimal import Decimal

    from pixfleet.config.prices import PriceBook

    from .spend.detection import Charged
    from .spend.price_rows import Row
    from .spend.refresh import Refreshed

prices_app = typer.Typer(help="Show the prices that jobs are charged at, and ask AWS for today's.")
_MACHINE = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_HEADERS = ("price", "USD", "for", "seen", "days ago", "source")


def _load(name: str) -> PriceBook:
    try:
        return load_prices(name)
    except PriceError as error:
        fail(str(error))


def _book() -> tuple[PriceBook, Charged]:
    settings = Settings.load()
    book = _load(settings.money.book)
    try:
        return book, charged(settings, book)
    except PriceError as error:
        fail(str(error))


def _warn(here: Charged, rows: list[Row]) -> None:
    """On stderr: what makes the prices in use doubtful."""
    if here.warning:
        messages.print(here.warning, soft_wrap=True)
    if old := complaint(rows):
        messages.print(f"{old}; `pixfleet prices refresh` asks AWS for today's", soft_wrap=True)


@prices_app.callback(invoke_without_command=True)
def _prices(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_prices()


@prices_app.command("list")
def list_prices(
    text: Annotated[
        str, typer.Argument(metavar="[TEXT]", help="only prices with this in their name or source")
    ] = "",
    json_: JsonOption = False,
) -> None:
    """Show every price of the book in use; those marked * this fleet's jobs are charged at."""
    book, here = _book()
    rows = rows_of(book, here.instance, here.purchase, dt.datetime.now(dt.UTC).date())
    shown = [row for row in rows if text.lower() in f"{row.name} {row.source}".lower()]
    if json_:
        print_json({"book": book.label, "prices": [row.as_json() for row in shown]})
    else:
        table = Table(box=None, title=book.label, title_justify="left")
        for header in _HEADERS:
            table.add_column(header, no_wrap=header != "source", overflow="fold")
        for row in shown:
            mark = "* " if row.in_use else "  "
            age = Text(str(row.age_days), style="yellow" if row.stale else "", justify="right")
            facts = (mark + row.name, row.usd, row.unit, row.date.isoformat())
            table.add_row(*map(Text, facts), age, Text(row.source))
        Console(file=sys.stdout).print(table)
    if not shown:
        messages.print(f"price book {book.name} has no price with {text!r} in its name or source")
    _warn(here, rows)


@prices_app.command()
def show(
    instance: Annotated[
        str, typer.Argument(metavar="[INSTANCE]", help="kind of machine; default: the one charged")
    ] = "",
    json_: JsonOption = False,
) -> None:
    """Show what a machine costs on each of its terms, and which machine is charged here."""
    book, here = _book()
    name = instance or here.instance
    offers = _offers(book, name)
    facts = {
        "book": book.label,
        "instance": name,
        "charged": None if instance and instance != here.instance else _charged(here),
        "terms": offers,
    }
    if json_:
        print_json(facts)
    else:
        sys.stdout.write(f"{name} in {book.label}\n")
        table = Table("terms", "an hour", "a vCPU hour", "a million vCPU s", "source", box=None)
        for offer in offers:
            hour, vcpu, second = offer["hour_usd"], offer["vcpu_hour_usd"], offer["vcpu_second_usd"]
            table.add_row(
                offer["terms"],
                f"${hour:.5f}" if hour is not None else "as ordered",
                f"${vcpu:.5f}",
                f"${second * 1_000_000:.2f}",
                Text(offer["source"]),
            )
        Console(file=sys.stdout).print(table)
        if facts["charged"]:
            sys.stdout.write(f"charged here: {here.rates.machine}, by {here.found}\n")
    _warn(here, rows_of(book, here.instance, here.purchase, dt.datetime.now(dt.UTC).date()))


def _offers(book: PriceBook, name: str) -> list[dict[str, Any]]:
    by_path = dict(book.prices())
    offers: list[dict[str, Any]] = []
    for terms in PURCHASES:
        price = by_path.get(("instances", name, terms)) or by_path.get(
            ("serverless", name, "memory")
        )
        if price is None:
            continue
        rates = book.rates(name, terms)
        offers.append(
            {
                "terms": terms if rates.vcpus else "as ordered",
                "hour_usd": _hour(rates.core_second_usd * rates.vcpus) if rates.vcpus else None,
                "vcpu_hour_usd": _hour(rates.core_second_usd),
                "vcpu_second_usd": rates.core_second_usd,
                "vcpus": rates.vcpus,
                "memory_gb": rates.memory_gb,
                "date": price.date,
                "source": price.source,
            }
        )
        if not rates.vcpus:
            break
    if not offers:
        try:
            book.rates(name)
        except PriceError as error:
            fail(str(error))
    return offers


def _hour(second_usd: Decimal) -> Decimal:
    return (second_usd * 3_600).quantize(NANO)


def _charged(here: Charged) -> dict[str, Any]:
    return asdict(here) | {"rates": asdict(here.rates)}


def _machines(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if wrong := next((name for name in names if not _MACHINE.fullmatch(name)), None):
        raise typer.BadParameter(f"{wrong!r} is no instance type; write c7i.large,c7g.xlarge")
    return names


def _region(name: str) -> str:
    if name and not _REGION.fullmatch(name):
        raise typer.BadParameter("a region's name, such as eu-central-1")
    return name


@prices_app.command()
def refresh(
    region: Annotated[
        str,
        typer.Option(
            metavar="REGION",
            help="of AWS; default: AWS_REGION, AWS_DEFAULT_REGION, else the book's",
            callback=_region,
        ),
    ] = "",
    instances: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="machines to ask for, with commas; new ones are added. Default: the book's",
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="default: prices/REGION.toml in the state folder"),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Ask AWS for today's prices and write them as a price book of your own.

    It begins with the book in use, or with the file if there is one already; what AWS does not
    tell stays as it was, with its old date. Exit code 1: AWS told nothing, so no file is written,
    or nothing about a machine that was named.
    """
    from .spend.price_file import write_book  # noqa: PLC0415 (boto3: only where it is used)
    from .spend.price_list import AwsUnavailableError  # noqa: PLC0415
    from .spend.refresh import refresh as ask  # noqa: PLC0415
    from .spend.refresh import region_of  # noqa: PLC0415

    named, current = _machines(instances), Settings.load().money.book
    base = _load(current)
    if not region_of(base):
        fail(
            f"price book {base.name} is not one of AWS's, so AWS cannot refresh it; begin with "
            "AWS's: PIXFLEET_PRICES_BOOK=aws-us-east-1 pixfleet prices refresh"
        )
    region = region or _environment_region() or region_of(base)
    place = (out or state_dir() / "prices" / f"{region}.toml").expanduser().absolute()
    if place.suffix != ".toml":
        raise typer.BadParameter("the file's name has to end in .toml", param_hint="--out")
    if current in built_in_books() and place.exists():  # with the machines added to it before
        base = _load(str(place))
    try:
        with messages.status("asking AWS") as status:
            today = dt.datetime.now(dt.UTC).date()
            result = ask(
                base,
                region,
                named or list(base.instances),
                today,
                lambda what: status.update(f"asking AWS: {what}"),
            )
        write_book(result.book, place)
    except AwsUnavailableError as error:
        fail(f"{error}\nprice book {base.label} stays in use", FAILED)
    except OSError as error:
        fail(f"{place} cannot be written: {error.strerror}; --out names another place", FAILED)
    _report(result, place, json_=json_)
    if any(name in named for name in result.missing):
        raise typer.Exit(FAILED)


def _environment_region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""


def _report(result: Refreshed, place: Path, *, json_: bool) -> None:
    if json_:
        print_json(
            {
                "file": str(place),
                "book": result.book.label,
                "fresh": result.fresh,
                "kept": result.kept,
                "missing": result.missing,
            }
        )
    else:
        sys.stdout.write(f"{place}\n")
    by_why: dict[str, list[str]] = {}
    for name, why in result.kept.items():
        by_why.setdefault(why, []).append(name)
    for why, names in by_why.items():
        messages.print(f"kept as they were ({why}): {', '.join(names)}", soft_wrap=True)
    for name, why in result.missing.items():
        messages.print(f"not in the book: {name} ({why})", soft_wrap=True)
    messages.print(
        f"{len(result.fresh)} prices of today; in use with PIXFLEET_PRICES_BOOK={place}",
        soft_wrap=True,
    )
