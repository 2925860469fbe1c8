"""Sums of the ledger as a file that other programs read."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config.prices import from_nano

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal
    from pathlib import Path

    from .book import Entry

COLUMNS: Final = ("start", "bucket", "tenant", "recipe", "line", "usd", "count")
"""A row has either ``usd``, exact, or ``count``; ``start`` is the beginning of the bucket, UTC."""


class ExportError(ValueError):
    """The file cannot be written; says why and what to do."""


def write_entries(entries: Iterable[Entry], file: Path) -> int:
    """Write a row for every sum, by the kind that the file's name ends in; how many.

    Raises:
        ExportError: an unknown kind, a place that cannot be written, Parquet without pyarrow.
    """
    write = _WRITERS.get(file.suffix.lower())
    if write is None:
        raise ExportError(f"{file}: name it {', '.join('*' + suffix for suffix in _WRITERS)}")
    rows = [_row(entry) for entry in entries]
    partial = file.with_name(f".{file.name}.part")
    try:
        write(rows, partial)
        partial.replace(file)
    except OSError as error:
        raise ExportError(f"{file} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    return len(rows)


def _row(entry: Entry) -> dict[str, Any]:
    counts = entry.line.startswith("#")
    return {
        "start": entry.start,
        "bucket": entry.bucket,
        "tenant": entry.tenant,
        "recipe": entry.recipe,
        "line": entry.line.removeprefix("#"),
        "usd": None if counts else from_nano(entry.amount),
        "count": entry.amount if counts else None,
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    usd: Decimal | None = row["usd"]
    return {**row, "start": row["start"].isoformat(), "usd": None if usd is None else f"{usd:f}"}


def _write_csv(rows: list[dict[str, Any]], file: Path) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows(_plain(row).values() for row in rows)


def _write_jsonl(rows: list[dict[str, Any]], file: Path) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(_plain(row)) + "\n" for row in rows)


def _write_parquet(rows: list[dict[str, Any]], file: Path) -> None:
    try:
        import pyarrow as pa  # noqa: PLC0415 (an extra of 40 MB that few need)
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ExportError(
            f"{file}: Parquet needs pyarrow: pip install 'pixfleet[parquet]', or export .csv"
        ) from None
    schema = pa.schema(
        [
            ("start", pa.timestamp("s", tz="UTC")),
            *((name, pa.string()) for name in ("bucket", "tenant", "recipe", "line")),
            ("usd", pa.decimal128(28, 9)),
            ("count", pa.int64()),
        ]
    )
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), file)


_WRITERS: Final = {".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}
