"""Bars that lie, in groups, each of one part or of several end to end."""

from __future__ import annotations

from dataclasses import dataclass

from .canvas import Canvas

LABEL, SPAN, NOTE, TOP, THICK, BETWEEN, HEAD = 210, 400, 110, 40, 14, 5, 26


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        label: on its left.
        parts: lengths by series, end to end.
        note: on its right.
    """

    label: str
    parts: dict[int, float]
    note: str


@dataclass(frozen=True, slots=True)
class Group:
    """Bars under one headline, on one scale."""

    title: str
    bars: list[Bar]


def bars_chart(
    title: str, legend: list[str], groups: list[Group], mark: tuple[float, str] | None = None
) -> str:
    """SVG.

    Args:
        title: of the whole.
        legend: names of the series; none where the labels say it.
        groups: one under the other; each on a scale of its own, unless there is a mark.
        mark: a value that is drawn through all groups, and its name; notes then stand in a column.
    """
    count = sum(len(group.bars) for group in groups)
    height = TOP + len(groups) * (HEAD + 8) + count * (THICK + BETWEEN) + 8
    canvas = Canvas(LABEL + SPAN + NOTE, height, title)
    canvas.legend(8, 16, legend)
    longest = {id(group): _longest(group) for group in groups}
    if mark is not None:
        common = max(mark[0], *longest.values())
        longest = dict.fromkeys(longest, common)
        x = LABEL + SPAN * mark[0] / common
        canvas.text(x, TOP - 4, mark[1], "muted middle")
        canvas.line(x, TOP + 2, x, height - 8, "axis")
    y = float(TOP)
    for group in groups:
        canvas.text(8, y + HEAD - 8, group.title, "head")
        y += HEAD
        scale = SPAN / longest[id(group)]
        for bar in group.bars:
            canvas.text(LABEL - 8, y + THICK - 3, bar.label, "end")
            x = float(LABEL)
            for series, value in bar.parts.items():
                canvas.bar(x, y, value * scale, THICK, series)
                x += value * scale
            end = x if mark is None else LABEL + SPAN
            canvas.text(end + 6, y + THICK - 3, bar.note, "muted")
            y += THICK + BETWEEN
        y += 8
    return canvas.svg()


def _longest(group: Group) -> float:
    return max(sum(bar.parts.values()) for bar in group.bars)
