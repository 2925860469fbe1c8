"""What `pixfleet tune` tries: settings, each in some values, and what a value costs."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from .measurement import Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from pixfleet.config.contract import Objective, Recipe
    from pixfleet.config.settings import Settings
    from pixfleet.workers.spend.machine import Machine

    from .measurement import Figures, Use

_PREFETCHES: Final = (1, 2, 4)
_EFFORTS: Final[tuple[tuple[Objective, float], ...]] = (
    ("cheapest", 0),
    ("cheapest", 3),
    ("cheapest", 10),
    ("smallest", 10),
)
FREE: Final = "cheapest, 10"
"""The choice among efforts with room for all of them, at the recipe's own prices."""
_SMALL_PX: Final = 64


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a setting.

    Attributes:
        label: as tables show it.
        way: how images are processed with it.
        lines: that set it, in the environment or in a recipe's TOML.
    """

    label: str
    way: Way
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
    """One setting.

    Attributes:
        name: of it.
        place: where it is set.
        values: that are tried.
        present: label of the value that is set now.
        cost_usd: of an image, by what was measured of it.
        image_usd: the same of one image's use, where images differ more than rounds do; then they
            are compared one by one, so that noise is that of other images too.
        least_images: that a measurement needs to tell anything; 0: two for each child.
    """

    name: str
    place: Literal["environment", "recipe"]
    values: tuple[Value, ...]
    present: str
    cost_usd: Callable[[Figures], Decimal]
    image_usd: Callable[[Use], Decimal] | None = None
    least_images: int = 0


def concurrency(recipe: Recipe, settings: Settings, machine: Machine, cores: int) -> Experiment:
    """How many children a worker has; the whole machine is paid for, idle cores too."""
    present = settings.worker.children
    counts = range(1, 2 * cores + 1) if cores <= 4 else (1, cores // 2, cores, 2 * cores)  # noqa: PLR2004
    numbers = sorted({present, *counts})
    return Experiment(
        name="concurrency",
        place="environment",
        values=tuple(
            Value(str(count), Way(recipe, count), (f"PIXFLEET_CONCURRENCY={count}",))
            for count in numbers
        ),
        present=str(present),
        cost_usd=lambda made: paid_usd(machine, made),
    )


def effort(recipe: Recipe, settings: Settings, machine: Machine) -> Experiment:
    """What encoders may spend for fewer bytes, at the recipe's retention and views."""
    present = (recipe.objective, recipe.max_cpu_s_per_mp)
    children = settings.worker.children

    def value(objective: Objective, limit: float) -> Value:
        changed = {"objective": objective, "max_cpu_s_per_mp": limit}
        return Value(
            f"{objective}, {limit:g}",
            Way(recipe.model_copy(update=changed), children),
            (f'objective = "{objective}"', f"max_cpu_s_per_mp = {limit:g}"),
        )

    def image_usd(use: Use) -> Decimal:
        return Decimal(use.cpu_s) * machine.rates.core_second_usd + use.life_usd

    def cost_usd(made: Figures) -> Decimal:
        return sum(map(image_usd, made.uses.values()), Decimal(0)) / len(made.uses)

    return Experiment(
        name="encoder effort",
        place="recipe",
        values=tuple(value(*one) for one in dict.fromkeys((present, *_EFFORTS))),
        present=value(*present).label,
        cost_usd=cost_usd,
        image_usd=image_usd,
        least_images=children,
    )


def prefetch(
    recipe: Recipe, settings: Settings, machine: Machine, job_s: float, short_job_s: float
) -> Experiment:
    """Messages that a worker holds for each child, measured where jobs are short.

    What is spared is the way of a message, alike for short and long jobs: the cost is that of the
    user's own job of ``job_s`` with the measured difference.
    """
    present = settings.worker.prefetch
    children = settings.worker.children
    longer_s = max(0.0, job_s - short_job_s)

    def cost_usd(made: Figures) -> Decimal:
        child_s = Decimal(longer_s) / children * Decimal(machine.vcpus)
        return paid_usd(machine, made) + child_s * machine.rates.core_second_usd

    def way(count: int) -> Way:
        return Way(recipe, children, {"PIXFLEET_WORKER_PREFETCH": str(count)})

    return Experiment(
        name="prefetch",
        place="environment",
        values=tuple(
            Value(str(count), way(count), (f"PIXFLEET_WORKER_PREFETCH={count}",))
            for count in sorted({present, *_PREFETCHES})
        ),
        present=str(present),
        cost_usd=cost_usd,
        least_images=20 * children,
    )


def paid_usd(machine: Machine, made: Figures) -> Decimal:
    """What an image's share of the machine's time costs: a core that idles is paid as well."""
    core_s = Decimal(made.busy_s) * Decimal(machine.vcpus)
    return core_s * machine.rates.core_second_usd / made.images


def shortest(recipe: Recipe) -> Recipe:
    """A recipe whose jobs are as short as jobs get."""
    spec = {"name": "small", "width": _SMALL_PX, "formats": ["jpeg"]}
    return recipe.model_validate(
        {"name": "tune-short", "quality": 60, "variants": [spec], "max_cpu_s_per_mp": 0}
    )
