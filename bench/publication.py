"""Results into docs/benchmarks.md, between the marks of the bench that made them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[1] / "docs"
PAGE: Final = DOCS / "benchmarks.md"
IMAGES: Final = DOCS / "images"


def image(name: str, title: str) -> str:
    """The reference to a chart, for the text between the marks."""
    return f"![{title}]({IMAGES.name}/{name}.svg)"


def publish(bench: str, markdown: str, charts: dict[str, str]) -> None:
    """Replace what stands between ``<!-- bench NAME -->`` and ``<!-- end NAME -->``.

    Args:
        bench: the name in the marks.
        markdown: the new text between them.
        charts: SVG by the name of its file, without suffix, in docs/images.

    Raises:
        ValueError: the page lacks the marks.
    """
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- bench {bench} -->\n", f"<!-- end {bench} -->"
    if begin not in page or end not in page:
        raise ValueError(f"{PAGE} has no marks {begin.strip()} and {end}")
    before, rest = page.split(begin, 1)
    after = rest.split(end, 1)[1]
    PAGE.write_text(f"{before}{begin}\n{markdown.strip()}\n\n{end}{after}", encoding="utf-8")
    for name, svg in charts.items():
        (IMAGES / f"{name}.svg").write_text(svg, encoding="utf-8")
