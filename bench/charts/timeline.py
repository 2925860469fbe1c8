"""What rises over time against marked levels, and counts beneath it on the same axis."""

from __future__ import annotations

from dataclasses import dataclass

from .canvas import Canvas

WIDTH, UPPER, LOWER, LEFT, RIGHT, TOP, GAP, BOTTOM = 620, 240, 110, 52, 96, 58, 40, 46
_TICKS, _NAME = 6, 70.0


@dataclass(frozen=True, slots=True)
class Line:
    """One series.

    Attributes:
        name: in the legend.
        points: (seconds, value).
        dashed: as a line beside the subject.
    """

    name: str
    points: list[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened.

    Attributes:
        at_s: seconds.
        name: beside its line.
    """

    at_s: float
    name: str


def timeline_chart(
    title: str,
    upper: list[Line],
    lower: list[Line],
    *,
    levels: dict[str, float],
    moments: list[Moment],
    units: tuple[str, str],
) -> str:
    """SVG.

    Args:
        title: of the whole.
        upper: series that the levels belong to.
        lower: series beneath.
        levels: lines across the upper panel by what is written on their right.
        moments: lines down both panels.
        units: of the upper and of the lower axis.
    """
    canvas = Canvas(LEFT + WIDTH + RIGHT, TOP + UPPER + GAP + LOWER + BOTTOM, title)
    canvas.legend(LEFT, 16, [line.name for line in (*upper, *lower)])
    end_s = max(at for line in upper for at, _ in line.points)
    panels = (
        (TOP, UPPER, upper, max([*levels.values(), *_values(upper)]) * 1.06, 0, units[0]),
        (TOP + UPPER + GAP, LOWER, lower, max([1.0, *_values(lower)]) * 1.1, len(upper), units[1]),
    )
    for top, height, lines, most, first, unit in panels:
        canvas.line(LEFT, top + height, LEFT + WIDTH, top + height, "axis")
        canvas.sideways(14, top + height / 2, unit)
        step = _step(most)
        for number in range(int(most / step) + 1):
            y = top + height * (1 - number * step / most)
            canvas.line(LEFT, y, LEFT + WIDTH, y, "grid")
            canvas.text(LEFT - 6, y + 4, f"{number * step:g}", "muted end")
        for name, value in levels.items() if lines is upper else ():
            y = top + height * (1 - value / most)
            canvas.line(LEFT, y, LEFT + WIDTH, y, "axis")
            canvas.text(LEFT + WIDTH + 6, y + 4, name, "muted")
        for series, line in enumerate(lines, first):
            points = [
                (LEFT + WIDTH * at / end_s, top + height * (1 - value / most))
                for at, value in line.points
            ]
            canvas.polyline(points, series, dashed=line.dashed)
    before, raised = -_NAME, False
    for moment in moments:
        x = LEFT + WIDTH * moment.at_s / end_s
        canvas.line(x, TOP, x, TOP + UPPER + GAP + LOWER, "axis")
        raised = x - before < _NAME and not raised  # two names beside each other do not fit
        canvas.text(x, TOP - (22 if raised else 8), moment.name, "head middle")
        before = x
    bottom = TOP + UPPER + GAP + LOWER
    step = _step(end_s)
    for number in range(int(end_s / step) + 1):
        x = LEFT + WIDTH * number * step / end_s
        canvas.text(x, bottom + 17, f"{number * step:g}", "muted middle")
    canvas.text(LEFT + WIDTH / 2, bottom + 36, "seconds", "muted middle")
    return canvas.svg()


def _values(lines: list[Line]) -> list[float]:
    return [value for line in lines for _, value in line.points]


def _step(most: float) -> float:
    """A round number that goes some times into ``most``."""
    size = 1.0
    while size * 10 <= most:
        size *= 10
    while size > most:
        size /= 10
    return next(
        size * part for part in (0.1, 0.2, 0.5, 1, 2, 5, 10) if most / (size * part) <= _TICKS
    )
