"""On which terms machines are had: spot with its rework, on demand, or reserved for a year."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from .advice import Advice, dollars, gain, percent
from .record import MONTH_HOURS, Ran, rates_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .record import Record

_SPOT: Final = "spot"
_DEMAND: Final = "on_demand"
_RESERVED: Final = "reserved_1y"
_RESERVATION: Final = "reservation"
ENOUGH_DAYS: Final = 14
"""Fewer do not tell how a year's hours will be."""
_ENOUGH_VCPU_S: Final = 3_600.0


def spot(record: Record) -> Iterator[Advice]:
    """Spot against on demand, with the work that interruptions threw away."""
    instance, _, terms = record.machine.partition(" ")
    dear = rates_of(record.book, f"{instance} {_DEMAND}")
    cheap = rates_of(record.book, f"{instance} {_SPOT}")
    if terms not in (_SPOT, _DEMAND) or dear is None or cheap is None:
        yield Advice(_SPOT, "unknown", f"{record.book.name} has not both prices of this machine")
        return
    if not cheap.core_second_usd or dear.core_second_usd == cheap.core_second_usd:
        yield Advice(_SPOT, "fine", f"{instance} costs the same on spot and on demand")
        return
    most = dear.core_second_usd / cheap.core_second_usd - 1
    bill_usd = record.machines_usd * record.months
    rework, interruptions = record.rework_share, record.totals.get("interruptions", 0)
    seen = f"lost work is {percent(rework)} of what was done; {interruptions} interruptions so far"
    pays = f"spot pays while it is below {percent(most)}"
    if terms == _SPOT:
        dearer_usd = bill_usd * (most - rework) / (1 + rework)
        yield gain(
            record,
            _SPOT,
            f"run {instance} on demand: interruptions cost more than spot saves",
            -dearer_usd,
            evidence=(seen, pays),
            change="start workers on demand; or see why work is lost: docs/spot.md",
            fine=f"spot saves {dollars(dearer_usd)} a month against on demand"
            if record.machines_usd
            else "spot is cheaper here",
        )
        return
    yield gain(
        record,
        _SPOT,
        f"run {instance} on spot",
        bill_usd * (1 - cheap.core_second_usd / dear.core_second_usd),
        at_most=True,
        evidence=(f"{pays} (without interruptions it is {percent(rework)} here)",),
        change="start workers on spot; they give work back in time: docs/spot.md",
        fine=f"{instance} on spot saves next to nothing",
    )


def reservation(record: Record) -> Iterator[Advice]:
    """Machines that run so many hours that a year's reservation costs less."""
    now, instance = record.rates, record.machine.partition(" ")[0]
    if now is None or not now.vcpus:
        yield Advice(_RESERVATION, "unknown", "this kind of machine is not reserved by the hour")
        return
    days = (record.until - record.past[0].start) / dt.timedelta(days=1) if record.past else 0.0
    if days < ENOUGH_DAYS:
        more = math.ceil(ENOUGH_DAYS - days)
        yield Advice(
            _RESERVATION,
            "unknown",
            f"needs about {more} more day{'s' if more > 1 else ''} of record, to see which hours "
            "repeat",
        )
        return
    price = 3_600 * now.vcpus * now.core_second_usd
    shares = machine_shares(record, now.vcpus)
    steady = f"the first machine ran {percent(shares[0])} of the hours of {days:.0f} days"
    reserved = rates_of(record.book, f"{instance} {_RESERVED}")
    if reserved is None or not reserved.vcpus:
        worth = max(Decimal(0), Decimal(shares[0]) * price)
        yield Advice(
            _RESERVATION,
            "unknown",
            f"the book has no reserved price of {instance}; it would pay below {dollars(worth)} an "
            "hour",
            evidence=(steady,),
            change="pixfleet prices refresh",
        )
        return
    hour_usd = 3_600 * reserved.vcpus * reserved.core_second_usd
    paying = [share for share in shares if Decimal(share) * price > hour_usd]
    saves = sum((Decimal(share) * price - hour_usd for share in paying), Decimal(0)) * MONTH_HOURS
    pays = f"a reservation pays for a machine that runs {percent(hour_usd / price)} of the hours"
    noun = "machine" if len(paying) == 1 else "machines"
    yield gain(
        record,
        _RESERVATION,
        f"reserve {len(paying)} {noun} of {instance} for a year, without upfront payment",
        saves,
        evidence=(steady, f"{pays}: {dollars(hour_usd)} an hour against {dollars(price)}"),
        change="buy it in the EC2 console; keep the rest as it is",
        fine="no machine runs enough hours for a year's reservation"
        if hour_usd < price
        else "a reservation costs more than the present terms",
    )


def machine_shares(record: Record, vcpus: int) -> list[float]:
    """Of the hours since the record's first, the share that the first machine ran, and each more.

    Hours without a word of any worker count as hours without machines.
    """
    first = record.past[0].start
    hours = max(1.0, (record.until - first) / dt.timedelta(hours=1))
    counts = [hour.ran.get(record.machine, Ran()).vcpu_s / 3_600 / vcpus for hour in record.past]
    most = max(1, math.ceil(max(counts)))
    return [
        min(1.0, sum(min(1.0, max(0.0, count - place)) for count in counts) / hours)
        for place in range(most)
    ]


def idle(record: Record) -> Iterator[Advice]:
    """Time of machines that no job needed: fewer of them, or none while nothing waits."""
    total_s = sum(ran.vcpu_s for ran in record.ran.values())
    used_s = sum(ran.tree_s for ran in record.ran.values())
    if total_s < _ENOUGH_VCPU_S:
        more = math.ceil((_ENOUGH_VCPU_S - total_s) / 60)
        yield Advice("idle", "unknown", f"needs about {more} more minutes of a running core")
        return
    unit_s = 3_600.0 * (record.rates.vcpus or 1 if record.rates else 1)
    spare_s = sum(_spare_s(record, place, unit_s) for place in range(len(record.hours)))
    yield gain(
        record,
        "idle",
        "run fewer machines, or none while nothing waits",
        record.machines_usd * record.months * Decimal(spare_s / total_s),
        evidence=(
            f"machines computed {percent(used_s / total_s)} of the time they were paid for",
            *_idle_hours(record),
        ),
        change="let the fleet follow its queue, down to none: docs/operations.md, docs/spot.md",
        fine="there are hardly more machines than jobs need",
    )


_FULL: Final = 0.8
"""Machines are not planned to be busier: jobs come as they like."""


def _spare_s(record: Record, place: int, unit_s: float) -> float:
    """VCPU seconds of an hour beyond what its jobs needed, at least one machine where some ran."""
    hour = record.hours[place]
    vcpu_s = sum(ran.vcpu_s for ran in hour.ran.values())
    tree_s = sum(ran.tree_s for ran in hour.ran.values())
    if not hour.jobs_s:
        return max(0.0, vcpu_s - tree_s)
    needed_s = max(hour.jobs_s, tree_s) / _FULL
    return max(0.0, vcpu_s - max(needed_s, min(vcpu_s, unit_s)))


def _idle_hours(record: Record) -> tuple[str, ...]:
    """The hours of the day in which machines were paid for nothing, where days repeat."""
    if record.days < 2:  # noqa: PLR2004
        return ()
    by_hour: dict[int, Ran] = {}
    for hour in record.hours:
        for ran in hour.ran.values():
            by_hour[hour.start.hour] = by_hour.get(hour.start.hour, Ran()) + ran
    idle = {hour: 1 - ran.tree_s / ran.vcpu_s for hour, ran in by_hour.items() if ran.vcpu_s > 0}
    worst = sorted(idle, key=lambda hour: -idle[hour])[:3]
    named = ", ".join(f"{hour:02}–{(hour + 1) % 24:02} {percent(idle[hour])}" for hour in worst)
    return (f"idle most at (UTC) {named}",)
