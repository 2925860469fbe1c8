"""What the commands have in common: options, messages on stderr, JSON on stdout."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.text import Text

FAILED: Final = 1
USAGE: Final = 2
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

messages = Console(stderr=True, highlight=False, markup=False)
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
JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON document instead")]


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
