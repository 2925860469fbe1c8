"""The way of a job as a timeline: what a trace shows, from the ledger and the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from rich.text import Text

from .terminal import size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pixfleet.config.results import Manifest, Receipt

    from .ledger import Attempt, JobStatus

_BAR: Final = 16
_SLIGHTEST_S: Final = 0.001
"""Rows that took less are said in JSON alone; with some hundred cuts there are many."""

_STYLES: Final = {"wait": "dim", "attempt": "bold", "stage": ""}


@dataclass(frozen=True, slots=True)
class Row:
    """Something that took its time on the job's way."""

    kind: Literal["wait", "attempt", "stage"]
    name: str
    """wait, the way an attempt ended (or running), or a stage"""
    began: float
    """UTC seconds; of stages by the clock of the worker's machine, else by Redis' own"""
    lasted_s: float
    depth: int = 0
    """of stages, inside how many others"""
    detail: str = ""
    """of stages the variant, with .format where it is one format's; of attempts why they ended"""
    cpu_s: float | None = None
    bytes: int | None = None
    worker: str = ""


def timeline(
    status: JobStatus, attempts: Sequence[Attempt], manifest: Manifest | None, now: float
) -> list[Row]:
    """What the job went through, in time order; ``now`` is when what goes on is looked at.

    Stages are known of the attempt that ended the job. A stage's time is also of those inside it.
    """
    rows: list[Row] = []
    free_at = status.submitted_at
    for attempt in attempts:
        rows += _wait(free_at, attempt.began)
        lasted_s = max(0.0, attempt.ended - attempt.began)
        rows.append(
            Row(
                *("attempt", attempt.how, attempt.began, lasted_s),
                detail=attempt.why,
                worker=attempt.owner,
            )
        )
        free_at = attempt.ended
    if manifest and attempts:
        rows += _stages(manifest.receipt, manifest.worker)
    elif status.state == "running" and status.began_at:
        rows += _wait(free_at, status.began_at)
        lasted_s = max(0.0, now - status.began_at)
        rows.append(Row("attempt", "running", status.began_at, lasted_s, worker=status.worker))
    elif status.ended_at is None:
        rows += _wait(free_at, now)
    return rows


def _wait(since: float, until: float) -> list[Row]:
    return [Row("wait", "wait", since, max(0.0, until - since))]


def _stages(receipt: Receipt, worker: str) -> Iterator[Row]:
    inside: dict[str, list[float]] = {}
    for span in receipt.spans:
        began = receipt.began_at + span.began_s
        ends = inside.setdefault(span.worker, [])
        while ends and ends[-1] <= began:
            ends.pop()
        yield Row(
            *("stage", span.stage, began, span.wall_s, len(ends)),
            detail=span.detail,
            cpu_s=span.cpu_s,
            bytes=span.bytes or None,
            worker=span.worker or worker,
        )
        ends.append(began + span.wall_s)


def drawn(rows: Sequence[Row]) -> Text:
    """The timeline for a terminal; bars of stages are parts of the last attempt, others of all."""
    whole = _extent(rows)
    inner = _extent([row for row in rows if row.kind == "stage"])
    names = [_name(row) for row in rows]
    wide = max(map(len, names), default=0)
    heads = ("after", "what".ljust(wide), " " * _BAR, "took", "CPU", "size")
    lines: list[tuple[tuple[str, ...], str]] = [(heads, "bold")]
    owner = ""
    for row, name in zip(rows, names, strict=True):
        if row.kind == "stage" and row.lasted_s < _SLIGHTEST_S:
            continue
        owner = row.worker if row.kind == "attempt" else owner
        cells = (
            _seconds(row.began - whole[0]),
            name.ljust(wide),
            _bar(row, inner if row.kind == "stage" else whole),
            _seconds(row.lasted_s),
            _seconds(row.cpu_s),
            "" if row.bytes is None else size(row.bytes),
            f"on {row.worker}" if row.worker != owner and not row.depth else "",
        )
        lines.append((cells, _STYLES[row.kind]))
        if row.kind == "attempt":
            why = f": {row.detail}" if row.detail else ""
            lines.append((("", f"  on {row.worker}{why}"), "dim"))
    text = Text()
    for (after, what, *figures), style in lines:
        bar, *numbers = figures or [""]
        shown = (after.rjust(9), what, bar, *(number.rjust(9) for number in numbers))
        text.append(" ".join(shown).rstrip() + "\n", style)
    return text


def _name(row: Row) -> str:
    if row.kind != "stage":
        return row.name
    return "  " * (row.depth + 1) + f"{row.name} {row.detail}".rstrip()


def _seconds(count: float | None) -> str:
    return "" if count is None else f"{max(0.0, count):.3f} s"


def _extent(rows: Sequence[Row]) -> tuple[float, float]:
    return (
        min((row.began for row in rows), default=0.0),
        max((row.began + row.lasted_s for row in rows), default=0.0),
    )


def _bar(row: Row, extent: tuple[float, float]) -> str:
    began, ended = extent
    scale = _BAR / max(ended - began, 1e-9)
    first = min(_BAR - 1, max(0, int((row.began - began) * scale)))
    cells = max(1, round(row.lasted_s * scale))
    return (" " * first + ("·" if row.kind == "wait" else "━") * cells)[:_BAR].ljust(_BAR)
