"""Which machine is charged, and on which terms: as set, as found, or as the book assumes."""

from __future__ import annotations

import functools
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import PriceError
from pixfleet.workers.fleet.spot import ENDPOINT_VARIABLE, MetadataError, metadata_service

if TYPE_CHECKING:
    from pixfleet.config.prices import PriceBook, Rates
    from pixfleet.config.settings import Settings

_NITRO: Final = Path("/sys/devices/virtual/dmi/id/board_asset_tag")
"""Holds the instance's id on EC2 (EC2 user guide, "Detect whether a host is an EC2 instance")."""
_XEN: Final = Path("/sys/hypervisor/uuid")
"""Begins with "ec2" on EC2's older machines (ditto)."""


@dataclass(frozen=True, slots=True)
class Detected:
    """A machine that was found.

    Attributes:
        instance: its kind, as price books name it; empty: not known.
        purchase: its terms, as price books name them.
        found: who said so.
    """

    instance: str
    purchase: str
    found: str


@dataclass(frozen=True, slots=True)
class Charged:
    """What a machine's time is charged at.

    Attributes:
        instance: kind of machine whose price that is.
        purchase: its terms.
        rates: of its time.
        vcpus: of the whole machine, where one that is paid whole was found; None: not known.
        found: why this kind and these terms.
        warning: what is wrong with that and how to mend it; empty: nothing.
    """

    instance: str
    purchase: str
    rates: Rates
    vcpus: int | None
    found: str
    warning: str = ""


def detect(settings: Settings) -> Detected | None:
    """The machine that this process runs on; None: nobody says.

    Asks at once where there is nobody to ask, and EC2 once in a process: it answers in some
    milliseconds, or is given up after a second. PIXFLEET_SPOT_WATCH says whether it may be asked.
    """
    if os.environ.get("AWS_EXECUTION_ENV") == "AWS_ECS_FARGATE":
        arm = platform.machine().lower() in ("aarch64", "arm64")
        return Detected(f"fargate-{'arm' if arm else 'x86'}", "on_demand", "Fargate's environment")
    watch, named = settings.spot.watch, os.environ.get(ENDPOINT_VARIABLE, "")
    if watch == "auto" and not named and not _on_ec2():
        return None
    try:
        service = metadata_service(watch)
        if service is None:
            return None
        terms = "spot" if service.life_cycle() == "spot" else "on_demand"
        return Detected(service.kind(), terms, "EC2's metadata service")
    except MetadataError:
        return None


def charged(settings: Settings, book: PriceBook) -> Charged:
    """What a worker's time is charged at here.

    PIXFLEET_PRICES_INSTANCE and PIXFLEET_PRICES_PURCHASE win, then comes what was found, then the
    book's own kind and spot. A machine that the book does not have is charged as the book's own
    kind, a vCPU for a vCPU, with a warning.

    Raises:
        PriceError: the book does not have what was set.
    """
    money = settings.money
    machine = None if money.instance and money.purchase else detect(settings)
    purchase = money.purchase or (machine.purchase if machine else "spot")
    if money.instance or machine is None:
        found = "PIXFLEET_PRICES_INSTANCE" if money.instance else "the book's own, none was found"
        instance = money.instance or book.instance
        return Charged(instance, purchase, book.rates(instance, purchase), None, found)
    try:
        rates = book.rates(machine.instance, purchase)
    except PriceError:
        if money.purchase and machine.instance in book.instances:
            raise
        return _in_place(book, machine, purchase)
    return Charged(machine.instance, purchase, rates, rates.vcpus, machine.found)


def _in_place(book: PriceBook, machine: Detected, purchase: str) -> Charged:
    rates = book.rates("", purchase)
    kind, vcpus = f"{machine.instance} {purchase}", os.cpu_count()
    return Charged(
        book.instance,
        purchase,
        replace(rates, machine=f"{rates.machine} in place of {kind}", vcpus=vcpus),
        vcpus,
        machine.found,
        f"price book {book.name} has no price of {kind}, which this machine is: it is charged as "
        f"{rates.machine}, a vCPU for a vCPU; `pixfleet prices refresh --instances "
        f"{machine.instance}` asks AWS for it",
    )


@functools.cache
def _on_ec2() -> bool:
    return _begins(_NITRO, "i-") or _begins(_XEN, "ec2")


def _begins(file: Path, prefix: str) -> bool:
    try:
        return file.read_text("ascii", "replace").lower().startswith(prefix)
    except OSError:
        return False
