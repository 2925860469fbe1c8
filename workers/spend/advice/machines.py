"""Which kind of machine, and how many children on it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from .advice import Advice, dollars, gain, percent, too_few_images
from .offers import children_for, demand_of, offers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .offers import Demand, Offer
    from .record import Record

_MACHINE: Final = "machine"
_CHILDREN: Final = "concurrency"
_WAITING: Final = ("if they wait for stores, not for other processes on their cores",)


def machine(record: Record) -> Iterator[Advice]:
    """The kind of machine that makes an image for the least, on the present terms."""
    demand = demand_of(record)
    if demand is None:
        seen = sum(made.images for made in record.made)
        yield too_few_images(_MACHINE, seen, "made afresh, to compare machines")
        return
    known = [offer for offer in offers(record, demand) if offer.children]
    present = next((offer for offer in known if offer.machine == record.machine), None)
    if present is None:
        yield Advice(
            _MACHINE,
            "unknown",
            f"the book {record.book.name} has no {record.machine or 'machine'} to compare with",
            evidence=_takes(demand),
            change="pixfleet advise --book NAME",
        )
        return
    best = next(offer for offer in known if _alike(offer, present, record))
    share = 1 - best.thousand_usd / present.thousand_usd
    yield gain(
        record,
        _MACHINE,
        f"use {best.machine} instead of {present.machine}",
        record.machines_usd * record.months * share,
        evidence=(
            *_compared(best, present),
            *_takes(demand),
        ),
        change=f"start workers on {best.machine}, {best.children} children each "
        f"(PIXFLEET_WORKER_CONCURRENCY={best.children})",
        fine=f"{present.machine} is the cheapest kind on these terms",
    )


def concurrency(record: Record) -> Iterator[Advice]:
    """More children where jobs wait for stores and networks, fewer where memory is short."""
    demand, ran = demand_of(record), record.ran.get(record.machine)
    if demand is None or ran is None or not ran.vcpu_s:
        seen = sum(made.images for made in record.made)
        yield too_few_images(_CHILDREN, seen, "made afresh, to see how children use their cores")
        return
    each = ran.child_s / ran.vcpu_s
    rates = record.rates
    whole = rates.vcpus if rates and rates.vcpus else 1
    memory_gb = rates.memory_gb if rates else None
    wanted = children_for(whole, memory_gb, demand) / whole
    now, then = min(1.0, each * demand.busy), min(1.0, wanted * demand.busy)
    with_jobs = min(1.0, record.count("wall_ms") / 1000 / ran.child_s) if ran.child_s else 0.0
    share = Decimal(with_jobs * max(0.0, 1 - now / then)) if then else Decimal(0)
    evidence = (
        (
            f"a child with a job computes {percent(demand.busy)} of the time; there are {each:.1f} "
            "children a vCPU"
        ),
        f"a child holds up to {demand.peak_gb:.2f} GB",
    )
    yield gain(
        record,
        _CHILDREN,
        f"run {wanted * whole:.0f} children on {whole} vCPUs",
        record.machines_usd * record.months * share,
        at_most=True,
        evidence=(*evidence, *(_WAITING if then > now else ())),
        change=f"PIXFLEET_WORKER_CONCURRENCY={wanted * whole:.0f}; `pixfleet tune` measures it",
        fine="children keep their cores busy while there is work",
    )


def _alike(offer: Offer, present: Offer, record: Record) -> bool:
    """On the present terms; or paid by need, where a worker can run."""
    if offer.instance in record.book.serverless:
        return record.book.serverless[offer.instance].vcpu is not None
    terms = present.machine.partition(" ")[2] or "on_demand"
    return offer is present or offer.machine.partition(" ")[2] == terms


def _takes(demand: Demand) -> tuple[str, ...]:
    return (f"an image takes {demand.cpu_s:.3f} CPU s, a child up to {demand.peak_gb:.2f} GB",)


def _compared(best: Offer, present: Offer) -> tuple[str, ...]:
    here = dollars(present.thousand_usd)
    if best is present:
        return (f"1,000 images cost {here} while there is work",)
    costs = f"1,000 images cost {dollars(best.thousand_usd)} there, and here {here}"
    if best.speed is not None:
        return costs, f"its vCPU was measured to be {best.speed:.2f} times as fast"
    slowest = percent(best.thousand_usd / present.thousand_usd)
    unknown = f"not measured: its vCPU is taken to be as fast; it pays if it is {slowest} as fast"
    return costs, unknown
