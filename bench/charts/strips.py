"""Dots on a line for each kind: every picture is seen, not only the mean."""

from __future__ import annotations

from dataclasses import dataclass

from .canvas import Canvas

LABEL, SPAN, RIGHT, TOP, ROW, BOTTOM = 130, 480, 60, 36, 34, 40


@dataclass(frozen=True, slots=True)
class Strip:
    """One kind.

    Attributes:
        label: on its left.
        values: shares, by picture.
        mean: of them, marked.
    """

    label: str
    values: dict[str, float]
    mean: float


def strips_chart(title: str, strips: list[Strip], axis: str) -> str:
    """SVG: shares on one axis from zero (or the lowest) to the highest."""
    every = [value for strip in strips for value in strip.values.values()]
    low = min(0.0, *every) // 0.05 * 0.05
    high = (max(every) // 0.05 + 1) * 0.05
    height = TOP + ROW * len(strips) + BOTTOM
    canvas = Canvas(LABEL + SPAN + RIGHT, height, title)

    def across(value: float) -> float:
        return LABEL + SPAN * (value - low) / (high - low)

    canvas.text(8, 18, title, "head")
    for step in range(round(low * 20), round(high * 20) + 1):
        x = across(step / 20)
        canvas.line(x, TOP, x, TOP + ROW * len(strips), "axis" if step == 0 else "grid")
        if step % 2 == 0:
            canvas.text(x, height - BOTTOM + 16, f"{step / 20:.0%}", "muted middle")
    canvas.text(LABEL + SPAN / 2, height - 6, axis, "muted middle")
    for number, strip in enumerate(strips):
        y = TOP + ROW * (number + 0.5)
        canvas.text(LABEL - 10, y + 4, strip.label, "end")
        for name, value in strip.values.items():
            canvas.dot(across(value), y, 4, number, f"{name} {value:.1%}")
        canvas.bar(across(strip.mean) - 1.5, y - 11, 3, 22, number)
        canvas.text(LABEL + SPAN + 8, y + 4, f"{strip.mean:.1%}")
    return canvas.svg()
