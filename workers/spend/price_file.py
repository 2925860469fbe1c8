"""A price book as a TOML file."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config.prices import PriceError, load_prices

if TYPE_CHECKING:
    from pathlib import Path

    from pixfleet.config.prices import PriceBook

_HEAD: Final = (
    "# Written by `pixfleet prices refresh`. Amounts are strings, because money is exact.\n"
)


def to_toml(book: PriceBook) -> str:
    """The book as load_prices reads it."""
    lines: list[str] = []
    _table(json.loads(book.model_dump_json(exclude_none=True)), (), lines)
    return _HEAD + "\n".join(lines).lstrip("\n") + "\n"


def write_book(book: PriceBook, path: Path) -> None:
    """Put the book in its place as a whole, after reading it back.

    Raises:
        PriceError: the file does not say what the book does.
        OSError: it cannot be written there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.toml")
    try:
        draft.write_text(to_toml(book), encoding="utf-8")
        if load_prices(str(draft)) != book:
            raise PriceError(f"price book {path} does not read back as it was written")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _table(table: dict[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    inner = {name: value for name, value in table.items() if isinstance(value, dict)}
    plain = {name: value for name, value in table.items() if name not in inner}
    if path and plain:
        lines.append(f"\n[{'.'.join(map(_key, path))}]")
    for name, value in plain.items():
        lines.append(f"{_key(name)} = {_value(name, value)}")
    for name, value in inner.items():
        _table(value, (*path, name), lines)


def _value(name: str, value: Any) -> str:
    if name == "date":  # TOML has dates, JSON has none
        return str(value)
    if name == "usd":
        value = f"{Decimal(value):f}"
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else json.dumps(name)
