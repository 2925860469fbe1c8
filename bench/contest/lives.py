"""How pictures live: each life as the recipe that says so, and what files cost over it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

from pixfleet.config.contract import Recipe, VariantSpec
from pixfleet.workers.imaging.encode import EncodeRequest
from pixfleet.workers.spend.lifetime import Lifetime

if TYPE_CHECKING:
    from pixfleet.config.contract import Format
    from pixfleet.config.prices import PriceBook

    from .runs import Run

WEB: Final[tuple[Format, ...]] = ("jpeg", "webp", "avif", "png")
PARTS: Final = ("compute", "requests", "storage", "egress")


@dataclass(frozen=True, slots=True)
class Life:
    """One kind of life.

    Attributes:
        name: of it.
        months: for which a picture is kept.
        views: in all that time.
        formats: what its viewers accept.
        max_cpu_s_per_mp: what its making may take.
    """

    name: str
    months: float
    views: int
    formats: tuple[Format, ...] = WEB
    max_cpu_s_per_mp: float = 10.0

    def __str__(self) -> str:
        months = "1 month" if self.months == 1 else f"{self.months:g} months"
        views = "1 view" if self.views == 1 else f"{self.views:,} views"
        return f"{self.name}: {months}, {views}"


LIVES: Final = (
    Life("archive", 12, 1, (*WEB, "jxl")),
    Life("catalogue", 12, 200),
    Life("hero", 1, 100_000, max_cpu_s_per_mp=60.0),
)


@dataclass(frozen=True)
class Costs:
    """Of one life at one floor, at a price book's list prices, CPU on spot."""

    life: Life
    prices: PriceBook
    floor: float

    @cached_property
    def _recipe(self) -> Recipe:
        variant = VariantSpec(name="full", formats=self.life.formats, pick="best")
        return Recipe(
            name=self.life.name,
            quality=self.floor,
            objective="cheapest",
            retention_months=self.life.months,
            views=self.life.views,
            max_cpu_s_per_mp=self.life.max_cpu_s_per_mp,
            variants=(variant,),
        )

    @cached_property
    def _lifetime(self) -> Lifetime:
        cpu_second_usd = self.prices.rates().core_second_usd
        return Lifetime.of(self._recipe, self._recipe.variants[0], self.prices, cpu_second_usd)

    def request(self, floor: float) -> EncodeRequest:
        """What a worker would be asked for."""
        goal = self._lifetime.goal(self._recipe)
        return EncodeRequest(self.life.formats, "best", floor, self._recipe.max_probes, goal)

    def usd(self, run: Run) -> dict[str, float]:
        """Of the run's mean picture, by ``PARTS``.

        CPU, one PUT, the bytes stored for all months and sent for all views. Left out is what is
        the same for every encoder: the source and its GET, the views' GETs, the queue.
        """
        costs = [
            self._lifetime.cost(cast("Format", name), size, cpu_s)
            for name, size, cpu_s in zip(run.formats, run.sizes, run.cpu_s, strict=True)
        ]
        return {
            part: float(sum(getattr(cost, f"{part}_usd") for cost in costs)) / len(costs)
            for part in PARTS
        }
