"""Curves of several encoders, one panel for each judge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from .canvas import Canvas

WIDTH, HEIGHT, GAP, TOP, LEFT, BOTTOM = 250, 260, 62, 58, 50, 48
TICKS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Panel:
    """One judge.

    Attributes:
        title: above the panel.
        steps: the marked values of its scale, bottom first (descending where less is better).
        curves: by encoder, (bytes a pixel, value) points.
    """

    title: str
    steps: tuple[float, ...]
    curves: dict[str, list[tuple[float, float]]]


def curves_chart(title: str, panels: list[Panel], dashed: set[str]) -> str:
    """SVG; bytes a pixel on a logarithmic axis, better quality upwards in every panel.

    Args:
        title: of the whole.
        panels: side by side, with the same encoders.
        dashed: encoders whose curves are dashed.
    """
    every = [x for panel in panels for curve in panel.curves.values() for x, _ in curve]
    low, high = min(every) * 0.95, max(every) * 1.05
    canvas = Canvas(LEFT + len(panels) * (WIDTH + GAP) - GAP + 12, TOP + HEIGHT + BOTTOM, title)
    names = list(panels[0].curves)
    canvas.legend(LEFT, 16, names)

    def across(x: float) -> float:
        return WIDTH * math.log(x / low) / math.log(high / low)

    for number, panel in enumerate(panels):
        left = LEFT + number * (WIDTH + GAP)
        bottom, top = panel.steps[0], panel.steps[-1]
        canvas.text(left, TOP - 12, panel.title, "head")
        for step in panel.steps:
            y = TOP + HEIGHT * (1 - (step - bottom) / (top - bottom))
            canvas.line(left, y, left + WIDTH, y, "grid")
            canvas.text(left - 6, y + 4, f"{step:g}", "muted end")
        for tick in (tick for tick in TICKS if low <= tick <= high):
            x = left + across(tick)
            canvas.line(x, TOP, x, TOP + HEIGHT, "grid")
            canvas.text(x, TOP + HEIGHT + 17, f"{tick:g}", "muted middle")
        canvas.text(left + WIDTH / 2, TOP + HEIGHT + 36, "bytes a pixel", "muted middle")
        for series, name in enumerate(names):
            points = [
                (left + across(x), TOP + HEIGHT * (1 - (y - bottom) / (top - bottom)))
                for x, y in panel.curves[name]
                if min(bottom, top) <= y <= max(bottom, top)
            ]
            canvas.polyline(points, series, dashed=name in dashed)
    return canvas.svg()
