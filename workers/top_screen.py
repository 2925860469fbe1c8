"""What `pixfleet top` shows: a pure function of the fleet's view and the terminal's size.

Names, sources and reasons come from strangers: they are text, never markup, and what cannot be
printed is shown by its number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pixfleet.producer.terminal import size, utc

from .progress import usd

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

    from pixfleet.producer.roster import Worker
    from pixfleet.workers.spend.budgets import Standing

    from .monitor.fleet_view import FleetView

_BARS: Final = "▁▂▃▄▅▆▇█"
_STATES: Final = {"working": "green", "at risk": "yellow", "draining": "yellow", "gone": "red"}
_RUNGS: Final = {"normal": "green", "thrifty": "yellow", "essential": "red", "closed": "red"}
_LEAST_ROWS: Final = 2
"""Of each block, before any gets more."""
_DAY_S: Final = 86_400
NARROW: Final = 60
WIDE: Final = 100
"""Columns of a terminal from which more is told."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A terminal's size, in characters."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    right: bool = False
    least_columns: int = 0
    """the terminal's, from which it is shown"""
    flexible: bool = False


@dataclass(slots=True)
class _Block:
    columns: Sequence[_Column]
    rows: list[Sequence[str | Text]]
    given: int = field(default=0)
    """rows that there is room for"""

    def table(self, screen: Screen) -> Table:
        shown = [column.least_columns <= screen.columns for column in self.columns]
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="dim")
        for column, show in zip(self.columns, shown, strict=True):
            if show:
                table.add_column(
                    column.head,
                    justify="right" if column.right else "left",
                    ratio=1 if column.flexible else None,
                    no_wrap=True,
                    overflow="ellipsis",
                )
        for row in self.rows[: self.given]:
            table.add_row(*(_cell(cell) for cell, show in zip(row, shown, strict=True) if show))
        return table


def render(
    view: FleetView, trend: Sequence[float | None], screen: Screen, *, trouble: str = ""
) -> RenderableType:
    """The whole screen; ``trend`` is images a second of the last minutes, None where not known.

    ``trouble`` is why the view is not of now.
    """
    head = [_state(view), _pace(view, trend, screen), _work(view), _money(view), *_failures(view)]
    notices = [*([Text(plain(trouble), "bold red")] if trouble else []), *_notices(view)]
    lines = [_fitted(line, screen) for line in (*head, *notices)]
    blocks = _shared_out(_blocks(view, screen), screen.rows - len(lines))
    parts: list[RenderableType] = [*lines]
    for block in blocks:
        parts += [Text(""), block.table(screen)]
    return Group(*parts)


def plain(text: str) -> str:
    """Text that moves no cursor and turns nothing around: what cannot be printed by its number."""
    return "".join(
        char if char.isprintable() else ascii(char)[1:-1].replace("\\\\", "\\") for char in text
    )


def sparkline(values: Sequence[float | None]) -> str:
    """A bar for each value, the highest full; a gap where one is not known."""
    most = max((value for value in values if value), default=0.0)
    steps = len(_BARS) - 1
    return "".join(
        " " if value is None else _BARS[round(steps * value / most) if most else 0]
        for value in values
    )


def seconds(value: float) -> str:
    """A duration in at most six characters."""
    if value < 1:
        return f"{1000 * value:.0f} ms"
    for unit, size_s in (("s", 1), ("min", 60), ("h", 3600)):
        number = value / size_s
        if number < (100 if unit == "s" else 60):
            return f"{number:.{1 if number < 10 else 0}f} {unit}"  # noqa: PLR2004 (two digits)
    return f"{value / _DAY_S:.0f} d"


def _cell(cell: str | Text) -> Text:
    return Text(plain(cell)) if isinstance(cell, str) else cell


def _fitted(line: Text, screen: Screen) -> Text:
    line.truncate(screen.columns, overflow="ellipsis")
    line.no_wrap = True
    return line


def _state(view: FleetView) -> Text:
    crew = view.reading
    line = Text("pixfleet  ", "bold")
    if not crew.workers:
        line.append("● no worker is alive", "red")
    elif crew.running:
        line.append("● at work", "green")
    else:
        line.append("● idle", "green")
    line.append(f"   {crew.workers} worker{'' if crew.workers == 1 else 's'}")
    for count, word in ((crew.draining, "draining"), (crew.at_risk, "at risk")):
        if count:
            line.append(f", {count} {word}", "yellow")
    line.append(f"   {utc(view.at_s)}", "dim")
    return line


def _pace(view: FleetView, trend: Sequence[float | None], screen: Screen) -> Text:
    found = view.rates
    if found is None:
        return Text("no pace yet: it takes two looks", "dim")
    line = Text(f"{found.images_per_s:.2f} images/s  ", "bold")
    bars = max(0, min(len(trend), screen.columns - 62))
    line.append(sparkline(trend[len(trend) - bars :]) + "  " if bars else "", "cyan")
    line.append(f"{found.pixels_per_s / 1e6:.1f} MP/s")
    line.append(f"  {size(found.bytes_in_per_s)}/s in, {size(found.bytes_out_per_s)}/s out")
    if found.recalled_share is not None:
        line.append(f"  memo {100 * found.recalled_share:.0f}%")
    if found.failed_per_s:
        line.append(f"  {found.failed_per_s:.2f} failed/s", "red")
    return line


def _work(view: FleetView) -> Text:
    now = view.reading
    line = Text(f"{sum(now.queued.values()):,} queued")
    oldest_s = max(now.oldest_s.values(), default=0)
    if oldest_s:
        line.append(f" (the oldest for {seconds(oldest_s)})")
    line.append(f"   {now.running:,} in work")
    if now.held:
        line.append(f"   {now.held:,} held by budgets", "yellow")
    line.append(f"   {now.totals.get('images', 0):,} images so far")
    return line


def _money(view: FleetView) -> Text:
    line = Text(f"today {usd(view.today_usd)}")
    if budget := view.day_budget:
        line.append(f" of {usd(budget.budget.limit_usd)} ({budget.share:.0%}: ")
        line.append(budget.rung, _RUNGS[budget.rung])
        line.append(")")
    if view.rates:
        line.append(f"   now {usd(view.rates.usd_per_hour)}/h")
        line.append(f" (machines {usd(view.reading.hour_usd)}/h)", "dim")
    return line


def _failures(view: FleetView) -> list[Text]:
    told = " · ".join(f"{code} {jobs:,}" for code, jobs in view.failures)
    return [Text(f"failed in the last hour: {plain(told)}", "red")] if told else []


def _notices(view: FleetView) -> list[Text]:
    notices: list[Text] = []
    waiting = sum(view.reading.queued.values())
    if not view.reading.workers and waiting:
        notices.append(Text(f"{waiting:,} jobs wait and no worker is alive: start one", "red"))
    elif not view.reading.totals and not waiting and not view.reading.running:
        line = "nothing was done yet: pixfleet submit samples --out out"
        notices.append(Text(line, "yellow"))
    if worst := view.worst_budget:
        notices.append(Text(_budget(worst), "red" if worst.rung != "thrifty" else "yellow"))
    return notices


def _budget(worst: Standing) -> str:
    budget = worst.budget
    limit = f"{usd(worst.spent_usd)} of {usd(budget.limit_usd)}"
    return plain(
        f"the {budget.period}'s budget of {budget.owner} is {worst.rung}: {limit}, "
        f"{worst.held:,} jobs held, until {worst.ends_at:%Y-%m-%d %H:%M} UTC"
    )


def _blocks(view: FleetView, screen: Screen) -> list[_Block]:
    queues = [
        (queue.name, "–" if queue.waiting is None else f"{queue.waiting:,}", _age(queue.oldest_s))
        for queue in view.queues
        if queue.waiting or queue.oldest_s
    ]
    span = "5 min" if view.latencies_over_s < 3600 else "hour"  # noqa: PLR2004 (an hour)
    latencies = sorted(view.latencies, key=lambda one: (one.name[:3] != "job", -one.p95_s))
    # A source's end tells more than its beginning, and a table would cut that off.
    taken = 68 if screen.columns >= WIDE else 30 if screen.columns >= NARROW else 20
    room = max(10, screen.columns - taken)
    return [
        _Block(
            (_Column("queue"), _Column("jobs", right=True), _Column("oldest", flexible=True)),
            [*queues],
        ),
        _Block(
            (
                _Column(f"took, last {span}", flexible=screen.columns < WIDE),
                *(_Column(name, right=True) for name in ("p50", "p95", "p99")),
                _Column("of", right=True, least_columns=NARROW),
                *((_Column("", flexible=True),) if screen.columns >= WIDE else ()),
            ),
            [
                (
                    one.name.removeprefix("stage:").replace("job:", "job "),
                    *(seconds(value) for value in (one.p50_s, one.p95_s, one.p99_s)),
                    f"{one.count:,}",
                    *(("",) if screen.columns >= WIDE else ()),
                )
                for one in latencies
            ],
        ),
        _Block(
            (
                _Column("worker", flexible=True),
                _Column("state"),
                _Column("in work", right=True),
                _Column("machine", least_columns=NARROW),
                _Column("USD/h", right=True, least_columns=WIDE),
                _Column("seen", right=True, least_columns=NARROW),
            ),
            [_crew(worker) for worker in view.crew],
        ),
        _Block(
            (
                _Column("failed"),
                _Column("source", least_columns=WIDE),
                _Column("why", flexible=True),
                _Column("job", least_columns=WIDE),
            ),
            [
                (
                    f"{seconds(max(0.0, view.at_s - job.ended_at))} ago",
                    _end(job.source, 30),
                    f"{job.code}: {job.reason}" if job.code else job.reason,
                    job.id,
                )
                for job in view.failed
            ],
        ),
        _Block(
            (
                _Column("slow"),
                _Column("took", right=True),
                _Column("source", flexible=True),
                _Column("recipe", least_columns=NARROW),
                _Column("job", least_columns=WIDE),
            ),
            [
                (what, seconds(job.took_s), _end(job.source, room), job.recipe, job.id)
                for what, jobs in (("in work", view.in_work), ("ended", view.slowest))
                for job in jobs
            ],
        ),
    ]


def _crew(worker: Worker) -> tuple[str | Text, ...]:
    doing = "–" if worker.active is None else f"{worker.active} of {worker.children}"
    state = Text(worker.state, _STATES[worker.state])
    if worker.why:
        state.append(plain(f" ({worker.why})"))
    hour = "–" if worker.hour_usd is None else f"{worker.hour_usd:.4f}"
    silent = f"{seconds(worker.silent_s)} ago"
    return worker.name, state, doing, worker.machine or "–", hour, silent


def _shared_out(blocks: Iterable[_Block], rows: int) -> list[_Block]:
    """Blocks that have something to show, each with as many rows as there is room for."""
    shown: list[_Block] = []
    left = rows
    for block in blocks:
        least = min(_LEAST_ROWS, len(block.rows))
        if least and left >= least + 2:  # its head, and a line before it
            block.given = least
            left -= least + 2
            shown.append(block)
    while left > 0 and (short := [block for block in shown if block.given < len(block.rows)]):
        for block in short[:left]:
            block.given += 1
        left -= len(short[:left])
    return shown


def _age(age_s: float) -> str:
    return seconds(age_s) if age_s else "–"


def _end(text: str, most: int) -> str:
    return text if len(text) <= most else f"…{text[1 - most :]}"
