"""The bill of a time: what jobs cost, what was in vain, what nobody used; and who caused it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from .book import CAPACITY, TREE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .book import Entry

By = Literal["tenant", "recipe", "line", "hour", "day", "month"]
REWORK: Final = "rework"
RETRY: Final = "retry"
MACHINE_COUNT: Final = "#machine_nano"
"""Of the money of a tenant's recipe, what is for the time of machines."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Nano-dollars by cause; ``jobs + rework + retry + overhead + idle`` is the machines' time.

    Attributes:
        jobs: time of machines that receipts name, as stages of jobs.
        rework: attempts that were lost or given back.
        retry: attempts that were put off because a store or network was away.
        overhead: what workers' processes used beyond that, and what jobs in work have used so far.
            It may fall below zero: an attempt that is lost is charged by the clock.
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

    @property
    def utilisation(self) -> float:
        """Share of the machines' time that receipts name, 0 to 1."""
        return self.jobs / self.machines if self.machines else 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """What one tenant, recipe, line or time had of it.

    Attributes:
        nano_usd: jobs, requests, rework and retries.
        counts: images, failed, variants, bytes_in, bytes_out, cpu_ms, saved_nano_usd, ...
    """

    name: str
    nano_usd: int
    counts: Counter[str]


@dataclass(frozen=True, slots=True)
class Statement:
    """A bill, and all of it that somebody caused, by what was asked for."""

    bill: Bill
    shares: tuple[Share, ...]
    counts: Counter[str]


def state(
    entries: Iterable[Entry], by: By = "line", *, tenant: str = "", recipe: str = ""
) -> Statement:
    """Add up entries; the shares are of the tenant and the recipe alone where one is named.

    The bill is always that of the fleet. Shares are in the order of their cost, those of times in
    the order of time.
    """
    key = _KEYS[by]
    fleet: Counter[str] = Counter()
    money: Counter[str] = Counter()
    counted: dict[str, Counter[str]] = {}
    all_counts: Counter[str] = Counter()
    for entry in entries:
        line, counts = entry.line, entry.line.startswith("#")
        fleet[line if line in (CAPACITY, TREE, REWORK, RETRY, MACHINE_COUNT) else _kind(line)] += (
            entry.amount
        )
        if line in (CAPACITY, TREE):
            continue
        if (tenant and entry.tenant != tenant) or (recipe and entry.recipe != recipe):
            continue
        name = key(entry)
        if not counts:
            money[name] += entry.amount
        elif by != "line":
            counted.setdefault(name, Counter())[line[1:]] += entry.amount
        if counts:
            all_counts[line[1:]] += entry.amount
    jobs = fleet[MACHINE_COUNT]
    in_vain = fleet[REWORK] + fleet[RETRY]
    bill = Bill(
        jobs=jobs,
        rework=fleet[REWORK],
        retry=fleet[RETRY],
        overhead=fleet[TREE] - jobs - in_vain,
        idle=fleet[CAPACITY] - fleet[TREE],
        requests=fleet["money"] - jobs,
    )
    names = set(money) | set(counted)
    order = (
        sorted(names) if by in ("hour", "day", "month") else sorted(names, key=lambda n: -money[n])
    )
    shares = tuple(Share(name, money[name], counted.get(name, Counter())) for name in order)
    return Statement(bill, shares, all_counts)


def _kind(line: str) -> str:
    return "counts" if line.startswith("#") else "money"


_KEYS: Final[dict[By, Callable[[Entry], str]]] = {
    "tenant": lambda entry: entry.tenant or "(fleet)",
    "recipe": lambda entry: entry.recipe or "(fleet)",
    "line": lambda entry: entry.line,
    "hour": lambda entry: f"{entry.start:%Y-%m-%dT%H}",
    "day": lambda entry: f"{entry.start:%Y-%m-%d}",
    "month": lambda entry: f"{entry.start:%Y-%m}",
}
