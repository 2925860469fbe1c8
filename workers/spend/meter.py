"""What a job uses, and what that costs."""

from __future__ import annotations

import resource
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import TYPE_CHECKING

from pixfleet.config.prices import NANO
from pixfleet.config.results import Receipt, StageUse

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pixfleet.config.prices import PriceBook


@dataclass(slots=True)
class _Use:
    cpu_s: float = 0.0
    wall_s: float = 0.0


class Meter:
    """Counts what one step of one job uses and prices it.

    ``instance`` and ``purchase`` say which machine's price CPU seconds are charged at. Stages are
    entered by one thread; requests may be counted by several.

    Attributes:
        cpu_second_usd: price of one vCPU for a second.

    Raises:
        PriceError: the book does not have that machine on these terms.
    """

    def __init__(self, prices: PriceBook, *, instance: str = "", purchase: str = "spot") -> None:
        self._prices = prices
        self.cpu_second_usd = prices.rates(instance, purchase).core_second_usd
        self._stages: dict[str, _Use] = {}
        self._inner: list[_Use] = []
        self._requests: Counter[str] = Counter()
        self._lock = Lock()
        self._bytes_in = 0
        self._bytes_out = 0
        self._saved_usd = Decimal(0)
        self._saved_cpu_s = 0.0
        self._hits = 0

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Charge what happens inside to a stage; what nested stages use is charged to them alone.

        CPU seconds are this process's, all its threads, and those of children it waited for.
        """
        inner = _Use()
        self._inner.append(inner)
        cpu_s, wall_s = _cpu_s(), time.monotonic()
        try:
            yield
        finally:
            cpu_s, wall_s = _cpu_s() - cpu_s, time.monotonic() - wall_s
            self._inner.pop()
            if self._inner:
                self._inner[-1].cpu_s += cpu_s
                self._inner[-1].wall_s += wall_s
            use = self._stages.setdefault(name, _Use())
            use.cpu_s += max(0.0, cpu_s - inner.cpu_s)
            use.wall_s += max(0.0, wall_s - inner.wall_s)

    def request(self, kind: str, count: int = 1) -> None:
        """Count billed requests.

        Raises:
            PriceError: the price book has no such kind.
        """
        self._prices.request_usd(kind)
        with self._lock:
            self._requests[kind] += count

    def bytes_in(self, count: int) -> None:
        """Count bytes that were fetched."""
        self._bytes_in += count

    def bytes_out(self, count: int) -> None:
        """Count bytes that were stored."""
        self._bytes_out += count

    def saved(self, usd: Decimal, cpu_s: float, hits: int = 1) -> None:
        """Count what the memo spared: the measured cost of what it replaced."""
        self._saved_usd += usd
        self._saved_cpu_s += cpu_s
        self._hits += hits

    def cpu_cost(self, cpu_s: float) -> Decimal:
        """Price of CPU seconds in USD, to the nano-dollar."""
        return (Decimal(cpu_s) * self.cpu_second_usd).quantize(NANO)

    def receipt(self) -> Receipt:
        """All that was counted so far; its cost is exactly the sum of its lines."""
        stages = tuple(
            StageUse(stage=name, cpu_s=use.cpu_s, wall_s=use.wall_s)
            for name, use in self._stages.items()
        )
        cpu_s = sum(stage.cpu_s for stage in stages)
        with self._lock:
            requests = dict(self._requests)
        lines = {"cpu": self.cpu_cost(cpu_s)}
        for kind, count in requests.items():
            lines[kind] = (self._prices.request_usd(kind) * count).quantize(NANO)
        return Receipt(
            stages=stages,
            cpu_s=cpu_s,
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            requests=requests,
            lines_usd=lines,
            cost_usd=sum(lines.values(), Decimal(0)),
            saved_usd=self._saved_usd,
            saved_cpu_s=self._saved_cpu_s,
            memo_hits=self._hits,
            price_book=self._prices.label,
        )


def merge(receipts: Iterable[Receipt]) -> Receipt:
    """One receipt for several steps of a job; stages of one name become one, money adds exactly."""
    stages: dict[str, _Use] = {}
    requests: Counter[str] = Counter()
    lines: dict[str, Decimal] = {}
    books: dict[str, None] = {}
    merged = list(receipts)
    for receipt in merged:
        for stage in receipt.stages:
            use = stages.setdefault(stage.stage, _Use())
            use.cpu_s += stage.cpu_s
            use.wall_s += stage.wall_s
        requests.update(receipt.requests)
        for line, usd in receipt.lines_usd.items():
            lines[line] = lines.get(line, Decimal(0)) + usd
        if receipt.price_book:
            books[receipt.price_book] = None
    return Receipt(
        stages=tuple(
            StageUse(stage=name, cpu_s=use.cpu_s, wall_s=use.wall_s) for name, use in stages.items()
        ),
        cpu_s=sum(receipt.cpu_s for receipt in merged),
        bytes_in=sum(receipt.bytes_in for receipt in merged),
        bytes_out=sum(receipt.bytes_out for receipt in merged),
        requests=dict(requests),
        lines_usd=lines,
        cost_usd=sum((receipt.cost_usd for receipt in merged), Decimal(0)),
        saved_usd=sum((receipt.saved_usd for receipt in merged), Decimal(0)),
        saved_cpu_s=sum(receipt.saved_cpu_s for receipt in merged),
        memo_hits=sum(receipt.memo_hits for receipt in merged),
        price_book=", ".join(books),
    )


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
