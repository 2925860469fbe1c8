"""What the commands have in common: options, messages on stderr, JSON on stdout."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from pixfleet.config.results import JobState
from pixfleet.config.state import running_broker

from .client import Producer

FAILED: Final = 1
USAGE: Final = 2
CLOSED: Final = 3
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

messages = Console(stderr=True, highlight=False, markup=False, emoji=False)
BrokerOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="broker's URL; default: PIXFLEET_BROKER, else the one that `pixfleet up` started here",
    ),
]
RecipeOption = Annotated[
    str,
    typer.Option(metavar="NAME|FILE", help="a name of `pixfleet recipes list`, or a TOML file"),
]
OutOption = Annotated[
    str, typer.Option(metavar="OUT", help="folder or s3://bucket/prefix for the results")
]


def _tenant(name: str) -> str:
    if not _TENANT.fullmatch(name):
        raise typer.BadParameter("1 to 64 letters, digits, dots, dashes or underscores")
    return name


TenantOption = Annotated[
    str, typer.Option(metavar="NAME", help="whom the cost is recorded under", callback=_tenant)
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="where broker and memo live; default: PIXFLEET_STATE, else a cache"
    ),
]
JobStateOption = Annotated[JobState | None, typer.Option(help="only jobs in this state")]
JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON document instead")]


def producer(broker: str | None) -> Producer:
    """A producer on the broker that was named, that is configured, or that runs here."""
    return Producer(broker or running_broker())


def size(count: float) -> str:
    """Bytes to read, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 (a thousand makes the next unit)
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def utc(seconds: float) -> str:
    """A moment as people and programs read it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def fail(message: str, code: int = USAGE) -> NoReturn:
    """Say what is wrong on stderr and leave with ``code``."""
    print_error(message)
    raise typer.Exit(code)


def print_error(message: str) -> None:
    """One line on stderr. No markup: messages hold paths, and names like pixfleet[worker]."""
    messages.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=1, default=str) + "\n")
