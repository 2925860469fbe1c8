"""What 1,000 images cost on every kind of machine and on every term, machines being busy."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import PURCHASES
from pixfleet.workers.fleet.memory import FOR_CHILDREN

from .advice import ENOUGH_IMAGES
from .record import rates_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixfleet.config.prices import Rates

    from .record import Made, Record

_COMMON: Final = 0.01
"""Recipes that make less of the images do not decide how much memory children need."""
_ALIKE: Final = 1.25
"""Mean sizes of images that differ by more do not compare machines."""
_SPOT: Final = "spot"


@dataclass(frozen=True, slots=True)
class Demand:
    """What an image takes.

    Attributes:
        cpu_s: with what workers themselves take for it.
        busy: share of a child's time with a job in which it computes, 0 to 1; the rest it waits.
        peak_gb: of a child, at the most.
    """

    cpu_s: float
    busy: float
    peak_gb: float


@dataclass(frozen=True, slots=True)
class Offer:
    """A kind of machine on some terms.

    Attributes:
        children: that keep it busy and find room in its memory; 0: not even one does.
        images_per_hour, thousand_usd: while there is work; with the rework that spot has cost.
        speed: of its vCPU against the present one; None: not measured, taken to be as fast.
    """

    machine: str
    vcpus: int
    children: int
    images_per_hour: float
    thousand_usd: Decimal
    speed: float | None

    @property
    def instance(self) -> str:
        """Without its terms."""
        return self.machine.partition(" ")[0]


def demand_of(record: Record) -> Demand | None:
    """What the record says; None: too few images."""
    images = sum(made.images for made in record.made)
    cpu_s, wall_s = record.count("cpu_ms") / 1000, record.count("wall_ms") / 1000
    if images < ENOUGH_IMAGES or not record.images or not cpu_s:
        return None
    tree_s = sum(ran.tree_s for ran in record.ran.values())
    of_recipe: dict[str, int] = defaultdict(int)
    for made in record.made:
        of_recipe[made.recipe] += made.images
    peaks = [made.peak_bytes for made in record.made if of_recipe[made.recipe] >= _COMMON * images]
    return Demand(
        cpu_s=max(tree_s, cpu_s) / record.images,
        busy=min(1.0, cpu_s / wall_s) if wall_s else 1.0,
        peak_gb=max(peaks) / 1e9,
    )


def children_for(vcpus: float, memory_gb: float | None, demand: Demand) -> int:
    """Children that keep so many vCPUs busy, or as many as find room."""
    wanted = max(math.ceil(vcpus), round(vcpus / demand.busy))
    if memory_gb is None or not demand.peak_gb:
        return wanted
    return min(wanted, int(memory_gb * FOR_CHILDREN / demand.peak_gb))


def offers(record: Record, demand: Demand) -> list[Offer]:
    """All that the book has, the cheapest first; last what has too little memory."""
    speeds = measured_speeds(record)
    known = list(_offers(record, demand, speeds))
    return sorted(known, key=lambda offer: (offer.children == 0, offer.thousand_usd))


def measured_speeds(record: Record) -> dict[str, float]:
    """Speed of a vCPU against that of the machine of which most ran, by instance.

    Pixels of the same recipes a CPU second, where both made enough images of about the same size:
    a small one takes more for each of its pixels.
    """
    present = record.machine.partition(" ")[0]
    own = {made.recipe: made for made in record.made if made.machine == present and made.cpu_s}
    expected: dict[str, float] = defaultdict(float)
    taken: dict[str, float] = defaultdict(float)
    images: dict[str, int] = defaultdict(int)
    for made in record.made:
        base = own.get(made.recipe)
        if base and base.images >= ENOUGH_IMAGES and made.cpu_s and _alike(made, base):
            expected[made.machine] += made.pixels * base.cpu_s / base.pixels
            taken[made.machine] += made.cpu_s
            images[made.machine] += made.images
    return {
        machine: expected[machine] / taken[machine]
        for machine, count in images.items()
        if count >= ENOUGH_IMAGES
    }


def _offers(record: Record, demand: Demand, speeds: dict[str, float]) -> Iterator[Offer]:
    book, present = record.book, record.machine.partition(" ")[0]
    names = [f"{name} {terms}" for name in book.instances for terms in PURCHASES]
    for machine in (*names, *book.serverless):
        rates = rates_of(book, machine)
        if rates is None:
            continue
        instance = machine.partition(" ")[0]
        speed = 1.0 if instance == present else speeds.get(instance)
        vcpus = rates.vcpus or 1
        children = children_for(vcpus, rates.memory_gb, demand) if rates.vcpus else 1
        busy = min(float(vcpus), children * demand.busy)
        per_hour = 3_600 * busy * (speed or 1.0) / demand.cpu_s
        usd = _hour_usd(record, rates, demand) / Decimal(per_hour) if per_hour else Decimal(0)
        service = book.serverless.get(machine)
        if service and service.request:
            usd += service.request.each_usd
        if machine.endswith(f" {_SPOT}"):
            usd *= 1 + rework_on_spot(record)
        yield Offer(machine, vcpus, children, per_hour, 1000 * usd, speed)


def _alike(made: Made, base: Made) -> bool:
    """Are images of both of about the same size."""
    if not made.pixels or not base.pixels or not made.images:
        return False
    ratio = made.pixels / made.images / (base.pixels / base.images)
    return 1 / _ALIKE <= ratio <= _ALIKE


def _hour_usd(record: Record, rates: Rates, demand: Demand) -> Decimal:
    if rates.vcpus:
        return rates.core_second_usd * rates.vcpus * 3_600
    least_gb = record.book.serverless[rates.machine].gb_per_vcpu
    gb = Decimal(max(least_gb, demand.peak_gb / FOR_CHILDREN))
    return 3_600 * (rates.vcpu_second_usd + gb * rates.gb_second_usd)


def rework_on_spot(record: Record) -> Decimal:
    """Share of work that was lost, where most of the fleet ran on spot; else it is not known: 0."""
    return record.rework_share if record.machine.endswith(f" {_SPOT}") else Decimal(0)
