"""The bill of a time: what jobs cost, what was in vain, what nobody used; and who caused it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from .book import CAPACITY, TREE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .book import Entry

By = Literal["tenant", "recipe", "line", "hour", "day", "month"]
REWORK: Final = "rework"
RETRY: Final = "retry"
MACHINE_COUNT: Final = "#machine_nano"
"""Of the money of a tenant's recipe, what is for the time of machines."""
TIMES: Final[dict[By, int]] = {"hour": 13, "day": 10, "month": 7}
"""Shares that are times, and how much of a bucket's name is theirs. An old hour is known as a part
of its day alone, which then stands for itself."""
_CAUSED: Final = "(caused)"
_CAUSES: Final = ("jobs", "rework", "retry", "overhead", "idle")


@dataclass(frozen=True, slots=True)
class Bill:
    """Nano-dollars by cause; ``jobs + rework + retry + overhead + idle`` is the machines' time.

    Attributes:
        jobs: time of machines that receipts name, as stages of jobs.
        rework: attempts that were lost or given back.
        retry: attempts that were put off because a store or network was away.
        overhead: what workers' processes used beyond that, and what jobs in work have used so far.
            It may fall below zero: a job is charged at its end and its worker's CPU up to two
            seconds later, and an attempt that is lost is charged by the clock.
        idle: time of machines that nobody used.
        requests: to S3, SQS, ..., which are billed by the piece.
    """

    jobs: int
    rework: int
    retry: int
    overhead: int
    idle: int
    requests: int

    @property
    def machines(self) -> int:
        """The fleet's hours at their price."""
        return self.jobs + self.rework + self.retry + self.overhead + self.idle

    @property
    def total(self) -> int:
        """All of it."""
        return self.machines + self.requests

    def lines(self) -> dict[str, int]:
        """Nano-dollars by cause, then the sums, in the order of a bill."""
        causes = {name: getattr(self, name) for name in _CAUSES}
        return causes | {"machines": self.machines, "requests": self.requests, "total": self.total}

    @property
    def utilisation(self) -> float:
        """Share of the machines' time in which they worked, 0 to 1."""
        return 1 - self.idle / self.machines if self.machines else 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """What one tenant, recipe, line or time had of it.

    Attributes:
        nano_usd: jobs, requests, rework and retries; of a time also what nobody used.
        unused_nano_usd: of it, overhead and idle time; nobody's, so of a time only.
        counts: images, failed, variants, bytes_in, bytes_out, cpu_ms, saved_nano_usd, ...; those of
            a line are not known.
    """

    name: str
    nano_usd: int
    unused_nano_usd: int
    counts: Counter[str]


@dataclass(frozen=True, slots=True)
class Statement:
    """A bill, and all of it that somebody caused, by what was asked for."""

    bill: Bill
    shares: tuple[Share, ...]
    counts: Counter[str]


def per_images(nano: int, images: int, count: int = 1_000) -> int:
    """Nano-dollars of ``count`` images, where ``images`` of them, 1 at least, took ``nano``."""
    return round(nano * count / images)


def make_statement(
    entries: Iterable[Entry], by: By = "line", *, tenant: str = "", recipe: str = ""
) -> Statement:
    """Add up entries, those of the tenant and the recipe alone where one is named.

    The fleet's statement has overhead and idle time; that of a tenant or recipe has none, for they
    are nobody's. Shares are in the order of their cost, those of times in the order of time.
    """
    fleet = not tenant and not recipe
    all_sums: Counter[str] = Counter()
    sums_of: dict[str, Counter[str]] = {}
    for entry in entries:
        if (tenant and entry.tenant != tenant) or (recipe and entry.recipe != recipe):
            continue
        name = _name(entry, by)
        for sums in (all_sums, *((sums_of.setdefault(name, Counter()),) if name else ())):
            sums[entry.line] += entry.amount
            if not entry.line.startswith("#") and entry.line not in (CAPACITY, TREE):
                sums[_CAUSED] += entry.amount
    shares: list[Share] = []
    for name, sums in sums_of.items():
        bill = _bill(sums, fleet=fleet and by in TIMES)
        unused = bill.overhead + bill.idle
        shares.append(Share(name, sums[_CAUSED] + unused, unused, _counts(sums)))
    shares.sort(key=lambda share: share.name if by in TIMES else (-share.nano_usd, share.name))
    return Statement(_bill(all_sums, fleet=fleet), tuple(shares), _counts(all_sums))


def _name(entry: Entry, by: By) -> str:
    """Whose share it belongs to; empty: nobody's, like the machines' time, or not known."""
    if by in TIMES:
        return entry.bucket[: TIMES[by]]
    if entry.line in (CAPACITY, TREE):
        return ""
    if by == "line":
        return "" if entry.line.startswith("#") else entry.line
    return (entry.tenant if by == "tenant" else entry.recipe) or "(fleet)"


def _bill(sums: Counter[str], *, fleet: bool) -> Bill:
    jobs = sums[MACHINE_COUNT]
    rework, retry = sums[REWORK], sums[RETRY]
    return Bill(
        jobs=jobs,
        rework=rework,
        retry=retry,
        overhead=sums[TREE] - jobs - rework - retry if fleet else 0,
        idle=sums[CAPACITY] - sums[TREE] if fleet else 0,
        requests=sums[_CAUSED] - jobs - rework - retry,
    )


def _counts(sums: Counter[str]) -> Counter[str]:
    return Counter({line[1:]: sums[line] for line in sums if line.startswith("#")})
