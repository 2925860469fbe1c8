"""The fleet's own record, as advice is drawn from it: what was made, by what, and what it cost."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 (fields of dataclasses)
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import PriceError
from pixfleet.workers.spend.book import CAPACITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pixfleet.config.prices import PriceBook, Rates

MONTH_DAYS: Final = Decimal("30.4375")
MONTH_HOURS: Final = MONTH_DAYS * 24


@dataclass(frozen=True, slots=True)
class Work:
    """What one recipe took in the time looked at, all tenants together.

    Attributes:
        stages, requests: USD by stage and by kind of request.
        rework_usd, retry_usd: attempts that were lost, and put off.
        counts: images, failed, variants, cpu_ms, wall_ms, saved_nano_usd, …
    """

    recipe: str
    stages: Mapping[str, Decimal]
    requests: Mapping[str, Decimal]
    rework_usd: Decimal
    retry_usd: Decimal
    counts: Mapping[str, int]

    @property
    def images(self) -> int:
        """Jobs that ended."""
        return self.counts.get("images", 0)

    @property
    def stages_usd(self) -> Decimal:
        """Time of machines that receipts name."""
        return sum(self.stages.values(), Decimal(0))


@dataclass(frozen=True, slots=True)
class Ran:
    """Time that a kind of machine ran on some terms.

    Attributes:
        vcpu_s, child_s: of the vCPUs that were charged, and of the children on them.
        tree_s: CPU that the workers' processes used.
    """

    vcpu_s: float = 0.0
    child_s: float = 0.0
    tree_s: float = 0.0

    def __add__(self, other: Ran) -> Ran:
        return Ran(
            self.vcpu_s + other.vcpu_s, self.child_s + other.child_s, self.tree_s + other.tree_s
        )


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of the fleet.

    Attributes:
        ran: by machine and terms: ``c7i.large spot``.
        jobs_s: time that children had a job, of the jobs that ended in the hour.
    """

    start: dt.datetime
    ran: Mapping[str, Ran]
    jobs_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Made:
    """Images of one recipe that one kind of machine made afresh."""

    recipe: str
    machine: str
    images: int
    pixels: int
    cpu_s: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Tried:
    """What a recipe's searches put into a format: files that it won, CPU in all and in vain."""

    recipe: str
    format: str
    files: int
    cpu_s: float
    lost_s: float


@dataclass(frozen=True, slots=True)
class HigherEffort:
    """What a recipe's searches put into efforts above the least, and what that spared in bytes."""

    recipe: str
    cpu_s: float
    spared_usd: Decimal


@dataclass(frozen=True, slots=True)
class Remembered:
    """How the memo stands, over its whole life.

    Attributes:
        max_bytes: what it may keep.
        billed: its blobs lie in a store that is paid by the gigabyte.
    """

    hits: int
    misses: int
    bytes: int
    max_bytes: int
    billed: bool


@dataclass(frozen=True)
class Record:
    """What is known.

    Attributes:
        since, until: the time looked at, from its first sum on.
        works: by recipe, the dearest first.
        fleet: USD of lines that are no tenant's: capacity, and requests of workers themselves.
        hours: of the time looked at; ``past``: of the last weeks, for what repeats.
        made, tried, higher_effort: what images took, of the months that the time touches.
        totals: of the ledger since it began: interruptions, …
    """

    since: dt.datetime
    until: dt.datetime
    book: PriceBook
    works: tuple[Work, ...] = ()
    fleet: Mapping[str, Decimal] = field(default_factory=dict)
    hours: tuple[Hour, ...] = ()
    past: tuple[Hour, ...] = ()
    made: tuple[Made, ...] = ()
    tried: tuple[Tried, ...] = ()
    higher_effort: tuple[HigherEffort, ...] = ()
    memo: Remembered | None = None
    totals: Mapping[str, int] = field(default_factory=dict)

    @property
    def days(self) -> Decimal:
        """Length of the time looked at; less than a day counts as one."""
        return max(Decimal(1), Decimal((self.until - self.since).total_seconds()) / 86_400)

    @property
    def months(self) -> Decimal:
        """By this an amount is multiplied, so that it is one of a month like this time."""
        return MONTH_DAYS / self.days

    def count(self, name: str) -> int:
        """A count over all recipes."""
        return sum(work.counts.get(name, 0) for work in self.works)

    @property
    def images(self) -> int:
        """Jobs that ended."""
        return self.count("images")

    @property
    def machines_usd(self) -> Decimal:
        """Time of machines, whatever they did."""
        return self.fleet.get(CAPACITY, Decimal(0))

    @property
    def stages_usd(self) -> Decimal:
        """That part of it which receipts name."""
        return sum((work.stages_usd for work in self.works), Decimal(0))

    @property
    def rework_usd(self) -> Decimal:
        """That part of it which went into attempts that were lost."""
        return sum((work.rework_usd for work in self.works), Decimal(0))

    @property
    def requests_usd(self) -> Decimal:
        """Requests of jobs and workers, by the piece."""
        own = sum((usd for line, usd in self.fleet.items() if line != CAPACITY), Decimal(0))
        return own + sum((sum(work.requests.values()) for work in self.works), Decimal(0))

    @property
    def bill_usd(self) -> Decimal:
        """Machines and requests; without a word of a worker's account: what receipts name."""
        spent = sum((w.stages_usd + w.rework_usd + w.retry_usd for w in self.works), Decimal(0))
        return max(self.machines_usd, spent) + self.requests_usd

    @cached_property
    def ran(self) -> dict[str, Ran]:
        """Time of machines by kind and terms."""
        return total_of(self.hours)

    @cached_property
    def machine(self) -> str:
        """The kind and terms of which most ran: ``c7i.large spot``; empty: none."""
        return max(self.ran, key=lambda name: self.ran[name].vcpu_s, default="")

    @cached_property
    def rates(self) -> Rates | None:
        """Of that machine by this book; None where it has none."""
        return rates_of(self.book, self.machine)

    @property
    def core_second_usd(self) -> Decimal:
        """What a core's second costs here, or else with the book's own machine."""
        rates = self.rates or next(
            (found for terms in ("spot", "on_demand") if (found := _own(self.book, terms))), None
        )
        return rates.core_second_usd if rates else Decimal(0)

    @property
    def rework_share(self) -> Decimal:
        """Work that was lost, as a share of that which was not."""
        return self.rework_usd / self.stages_usd if self.stages_usd else Decimal(0)


def total_of(hours: Iterable[Hour]) -> dict[str, Ran]:
    """Time of machines by kind and terms, over some hours."""
    total: dict[str, Ran] = {}
    for hour in hours:
        for name, ran in hour.ran.items():
            total[name] = total.get(name, Ran()) + ran
    return total


def rates_of(book: PriceBook, machine: str) -> Rates | None:
    """Of a kind and its terms, ``c7i.large spot``; None where the book does not have them."""
    instance, _, purchase = machine.partition(" ")
    try:
        return book.rates(instance, purchase or "on_demand") if instance else None
    except PriceError:
        return None


def _own(book: PriceBook, terms: str) -> Rates | None:
    return rates_of(book, f"{book.instance} {terms}")
