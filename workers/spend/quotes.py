"""What the same work costs on other machines and terms."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import PURCHASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixfleet.config.prices import PriceBook

INTERRUPTED_EVERY_H: Final = 20
"""Hours that a spot machine lives: assumed, and short to be on the safe side."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done, whoever does it.

    Attributes:
        images: their number.
        cpu_s: of all of them.
        lost_s: wall time that an interruption throws away on each core: half an image's.
        startup_s: of the worker that comes instead.
    """

    images: int
    cpu_s: float
    lost_s: float
    startup_s: float


@dataclass(frozen=True, slots=True)
class Quote:
    """One offer, USD.

    Attributes:
        machine: kind and terms.
        compute_usd: of the CPU seconds with their memory, and of calls where they are billed.
        rework_usd: of work that interruptions are expected to throw away; 0 where there are none.
    """

    machine: str
    compute_usd: Decimal
    rework_usd: Decimal


def quotes(book: PriceBook, instance: str, work: Work) -> Iterator[Quote]:
    """An instance on every term on which the book offers it, then everything serverless.

    ``instance``: the kind of machine; empty, or serverless itself: the book's own.
    """
    name = instance if instance in book.instances else book.instance
    for purchase in PURCHASES:
        if getattr(book.instances[name], purchase) is not None:
            rates = book.rates(name, purchase)
            compute_usd = Decimal(work.cpu_s) * rates.core_second_usd
            rework = compute_usd * rework_share(work) if purchase == "spot" else Decimal(0)
            yield Quote(rates.machine, compute_usd, rework)
    for name, service in book.serverless.items():
        compute_usd = Decimal(work.cpu_s) * book.rates(name).core_second_usd
        if service.request:
            compute_usd += work.images * service.request.each_usd
        yield Quote(name, compute_usd, Decimal(0))


def rework_share(work: Work) -> Decimal:
    """Of the time paid for on spot, what interruptions are expected to add."""
    return Decimal(work.lost_s + work.startup_s) / (INTERRUPTED_EVERY_H * 3_600)
