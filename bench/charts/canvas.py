"""SVG by hand: one small file that is read as well on a light page as on a dark one.

Plotting libraries write one set of colours into the drawing; here the reader's colour scheme
chooses among two, and the ground stays clear.
"""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape

SERIES: Final = (
    ("#0969da", "#58a6ff"),
    ("#bc4c00", "#f0883e"),
    ("#1a7f37", "#3fb950"),
    ("#8250df", "#bc8cff"),
    ("#bf3989", "#f778ba"),
    ("#6e7781", "#8b949e"),
    ("#9a6700", "#e3b341"),
)
"""Colours of the series, for light and for dark pages."""

_INK: Final = (("#1f2328", "#e6edf3"), ("#59636e", "#9198a1"), ("#d1d9e0", "#3d444d"))


def _rules(shade: int) -> str:
    ink, muted, grid = (pair[shade] for pair in _INK)
    rules = [
        f"text{{fill:{ink}}}.muted{{fill:{muted}}}.grid{{stroke:{grid}}}.axis{{stroke:{muted}}}"
    ]
    rules += [
        f".f{at}{{fill:{pair[shade]}}}.l{at}{{stroke:{pair[shade]}}}"
        for at, pair in enumerate(SERIES)
    ]
    return "".join(rules)


_STYLE: Final = (
    "text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}"
    ".head{font-weight:600}.end{text-anchor:end}.middle{text-anchor:middle}"
    "line,polyline{fill:none;stroke-width:1}polyline{stroke-width:2;stroke-linejoin:round}"
    f"{_rules(0)}@media(prefers-color-scheme:dark){{{_rules(1)}}}"
)


class Canvas:
    """A drawing; lengths in px, y downwards.

    Args:
        width, height: of the whole.
        title: read out where the drawing is not seen.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height = width, height
        self._title = title
        self._parts: list[str] = []

    def text(self, x: float, y: float, text: str, style: str = "") -> None:
        """Its baseline begins at the point, or as the style says."""
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(text)}</text>')

    def sideways(self, x: float, y: float, text: str) -> None:
        """Muted, read from below, its middle at the point."""
        self._parts.append(
            f'<text transform="translate({x:.1f} {y:.1f}) rotate(-90)" class="muted middle">'
            f"{escape(text)}</text>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """Straight."""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'
        )

    def polyline(
        self, points: list[tuple[float, float]], series: int, *, dashed: bool = False
    ) -> None:
        """In the colour of the series."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(f'<polyline points="{path}" class="l{series}"{dashes}/>')

    def bar(self, x: float, y: float, width: float, height: float, series: int) -> None:
        """In the colour of the series."""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:.1f}" '
            f'class="f{series}"/>'
        )

    def dot(self, x: float, y: float, radius: float, series: int, hint: str = "") -> None:
        """In the colour of the series; the hint shows under the pointer."""
        inside = f"<title>{escape(hint)}</title>" if hint else ""
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" class="f{series}" '
            f'fill-opacity=".7">{inside}</circle>'
        )

    def legend(self, x: float, y: float, names: list[str]) -> None:
        """One series after the other, on a line."""
        for series, name in enumerate(names):
            self.bar(x, y - 9, 10, 10, series)
            self.text(x + 15, y, name)
            x += 30 + 6.6 * len(name)

    def svg(self) -> str:
        """The file."""
        parts = "\n".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" role="img">\n'
            f"<title>{escape(self._title)}</title>\n<style>{_STYLE}</style>\n{parts}\n</svg>\n"
        )
