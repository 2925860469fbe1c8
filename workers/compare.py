"""``pixfleet compare``: pictures beside what a fixed-quality encoder makes of them, on one page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config.contract import VariantSpec
from pixfleet.config.prices import load_prices
from pixfleet.producer.sources import find_sources

from .compare_figures import figures, totals_of
from .compare_page import picture_line, render_comparison
from .comparison import compare
from .failures import failure_of
from .spend.detection import charged
from .spend.lifetime import Lifetime, price_book
from .storage.objects import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from pixfleet.config.contract import Format, Recipe
    from pixfleet.config.results import Failure
    from pixfleet.config.settings import Settings
    from pixfleet.producer.sources import Source

    from .imaging.goal import Goal

PAGE_NAME: Final = "compare.html"


@dataclass(frozen=True, slots=True)
class CompareOrder:
    """What a user asked for."""

    sources: tuple[str, ...]
    out: str
    recipe: Recipe
    formats: tuple[Format, ...]
    width_px: int
    settings: Settings


@dataclass(slots=True)
class CompareResult:
    """What came of it.

    Attributes:
        page: where the page was written.
        totals: as ``compare_figures.totals_of``.
        images: as ``compare_figures.figures``, of the pictures that could be compared.
        failures: pairs of a source and why it, or one of its formats, could not be.
    """

    page: str
    totals: dict[str, Any] = field(default_factory=dict)
    images: list[dict[str, Any]] = field(default_factory=list)
    failures: list[tuple[Source, Failure]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "page": self.page,
            "sums": self.totals["sums"],
            "images": self.images,
            "failures": [
                {"source": source.url, **failure.model_dump(mode="json")}
                for source, failure in self.failures
            ],
        }


def run_comparison(order: CompareOrder, show: Callable[[str], None]) -> CompareResult:
    """Compare every picture and write the page; a broken file becomes a failure on it.

    ``show`` hears what is being done.

    Raises:
        SourceNotFoundError: something that was named is not there; nothing was done.
        PriceError, RecipeError: the price book of the settings or of the recipe is faulty.
        OutputError: the page cannot be written.
        StoreUnavailableError: the store did not answer.
    """
    folder, name = _target(order.out)
    store = ObjectStore(folder)
    sources = [found for named in order.sources for found in find_sources(named)]
    goal = _goal(order)
    result = CompareResult(page=f"{folder.rstrip('/')}/{name}")
    lines: list[str] = []
    for number, source in enumerate(sources, 1):
        where = f"{source.name} ({number} of {len(sources)})"
        try:
            compared = compare(
                source,
                order.recipe,
                formats=order.formats,
                width_px=order.width_px,
                goal=goal,
                limits=order.settings.limits,
                rules=order.settings.sources,
                show=lambda done, where=where: show(f"{where}: {done}"),
            )
        except Exception as error:  # noqa: BLE001 (whatever it is, the other pictures go on)
            result.failures.append((source, failure_of(error)))
            continue
        result.failures.extend((source, failure) for failure in compared.failures)
        result.images.append(figures(compared))
        lines.append(picture_line(compared, order.recipe.background))
    result.totals = totals_of(result.images)
    page = render_comparison(lines, result.totals, result.failures)
    store.put(name, page)
    return result


def _goal(order: CompareOrder) -> Goal:
    """What the recipe's objective comes to, as in a run that makes these formats."""
    recipe = order.recipe
    prices = load_prices(order.settings.money.book)
    cpu_second_usd = charged(order.settings, prices).rates.core_second_usd
    if recipe.price_book:
        prices, cpu_second_usd = price_book(recipe.price_book)
    spec = VariantSpec(name="compared", width=order.width_px, formats=order.formats)
    return Lifetime.of(recipe, spec, prices, cpu_second_usd).goal(recipe)


def _target(out: str) -> tuple[str, str]:
    """Folder and name of the page: what ends in .html is the page, all else the folder for it."""
    place = out if "://" in out else str(Path(out).expanduser().absolute())
    if not place.lower().endswith((".html", ".htm")):
        return place, PAGE_NAME
    folder, _, name = place.rpartition("/")
    return folder or "/", name
