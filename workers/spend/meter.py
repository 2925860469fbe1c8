"""What a job uses, and what that costs."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import NANO, to_nano
from pixfleet.config.results import Receipt, StageUse
from pixfleet.workers import tracing

from .passage import Passage, began_and_spans, spans_of
from .peak import forget_peak, peak_bytes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pixfleet.config.prices import PriceBook, Rates


MACHINE: Final = "cpu"
"""The line of a receipt that is the sum of its stages: time of machines, with their memory."""
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_BRIEF_S: Final = 0.001
"""In a stage this short a process can hardly take so much memory that its cost changes."""


@dataclass(slots=True)
class _Use:
    cpu_s: float = 0.0
    wall_s: float = 0.0
    gb_s: float = 0.0


class Meter:
    """Counts what one step of one job uses and prices it, its machine's time at ``rates``.

    Stages are entered by one thread; requests may be counted by several. ``worker`` is written to
    its spans, where that is not the manifest's.

    Attributes:
        cpu_second_usd: price of one vCPU, with the memory that comes with it, for a second.
    """

    def __init__(self, prices: PriceBook, rates: Rates, worker: str = "") -> None:
        self._prices = prices
        self._rates = rates
        self.cpu_second_usd = rates.core_second_usd
        self._worker = worker
        self._stages: dict[str, _Use] = {}
        self._passages: list[Passage] = []
        forget_peak()
        self._inner: list[_Use] = []
        self._resident_gb = 0.0
        self._requests: Counter[str] = Counter()
        self._lock = Lock()
        self._bytes_in = 0
        self._bytes_out = 0
        self._saved_usd = Decimal(0)
        self._saved_cpu_s = 0.0
        self._hits = 0

    @contextmanager
    def stage(self, name: str, detail: str = "") -> Generator[Passage]:
        """Charge what happens inside to a stage; what nested stages use is charged to them alone.

        CPU seconds are this process's, all its threads, and those of children it waited for; memory
        is what the process holds when the stage ends, or held before a brief one. The value takes
        what is known of the passage, for its span.
        """
        passage = Passage(name, detail)
        inner = _Use()
        self._inner.append(inner)
        with tracing.stage(name, passage.attributes):
            began_cpu_s, began_s = cpu_s(), time.monotonic()
            passage.began_at = time.time()
            try:
                yield passage
            finally:
                used_s, wall_s = cpu_s() - began_cpu_s, time.monotonic() - began_s
                self._inner.pop()
                if self._inner:
                    self._inner[-1].cpu_s += used_s
                    self._inner[-1].wall_s += wall_s
                own = _Use(max(0.0, used_s - inner.cpu_s), max(0.0, wall_s - inner.wall_s))
                if wall_s > _BRIEF_S or not self._resident_gb:
                    self._resident_gb = _resident_gb()
                own.gb_s = own.wall_s * self._resident_gb
                use = self._stages.setdefault(name, _Use())
                use.cpu_s += own.cpu_s
                use.wall_s += own.wall_s
                use.gb_s += own.gb_s
                passage.wall_s, passage.cpu_s = wall_s, used_s
                passage.cost_usd = self._machine_cost(own)
                self._passages.append(passage)

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
            StageUse(
                stage=name,
                cpu_s=use.cpu_s,
                wall_s=use.wall_s,
                gb_s=use.gb_s,
                cost_usd=self._machine_cost(use),
            )
            for name, use in self._stages.items()
        )
        began_at, spans = spans_of(self._passages, self._worker)
        with self._lock:
            requests = dict(self._requests)
        lines = {MACHINE: sum((stage.cost_usd for stage in stages), Decimal(0))}
        for kind, count in requests.items():
            lines[kind] = (self._prices.request_usd(kind) * count).quantize(NANO)
        return Receipt(
            stages=stages,
            cpu_s=sum(stage.cpu_s for stage in stages),
            gb_s=sum(stage.gb_s for stage in stages),
            peak_bytes=peak_bytes(),
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            requests=requests,
            lines_usd=lines,
            cost_usd=sum(lines.values(), Decimal(0)),
            saved_usd=self._saved_usd,
            saved_cpu_s=self._saved_cpu_s,
            memo_hits=self._hits,
            price_book=self._prices.label,
            machine=self._rates.machine,
            began_at=began_at,
            spans=spans,
        )

    def _machine_cost(self, use: _Use) -> Decimal:
        rates = self._rates
        cpu_usd = Decimal(use.cpu_s) * rates.vcpu_second_usd
        return (cpu_usd + Decimal(use.gb_s) * rates.gb_second_usd).quantize(NANO)


def merge(receipts: Iterable[Receipt]) -> Receipt:
    """One receipt for several steps of a job; stages of one name become one, money adds exactly."""
    stages: dict[str, StageUse] = {}
    requests: Counter[str] = Counter()
    lines: dict[str, Decimal] = {}
    books: dict[str, None] = {}
    machines: dict[str, None] = {}
    merged = list(receipts)
    if len(merged) == 1:
        return merged[0]
    for receipt in merged:
        for stage in receipt.stages:
            known = stages.get(stage.stage)
            stages[stage.stage] = _sum(known, stage) if known else stage
        requests.update(receipt.requests)
        for line, usd in receipt.lines_usd.items():
            lines[line] = lines.get(line, Decimal(0)) + usd
        if receipt.price_book:
            books[receipt.price_book] = None
            machines[receipt.machine] = None
    began_at, spans = began_and_spans(merged)
    return Receipt(
        stages=tuple(stages.values()),
        cpu_s=sum(receipt.cpu_s for receipt in merged),
        gb_s=sum(receipt.gb_s for receipt in merged),
        peak_bytes=max((receipt.peak_bytes for receipt in merged), default=0),
        bytes_in=sum(receipt.bytes_in for receipt in merged),
        bytes_out=sum(receipt.bytes_out for receipt in merged),
        requests=dict(requests),
        lines_usd=lines,
        cost_usd=sum((receipt.cost_usd for receipt in merged), Decimal(0)),
        saved_usd=sum((receipt.saved_usd for receipt in merged), Decimal(0)),
        saved_cpu_s=sum(receipt.saved_cpu_s for receipt in merged),
        memo_hits=sum(receipt.memo_hits for receipt in merged),
        price_book=", ".join(books),
        machine=", ".join(machines),
        began_at=began_at,
        spans=spans,
    )


def charges(receipt: Receipt) -> dict[str, int]:
    """The lines of a receipt as the ledger sums them, nano-dollars: stages, then requests.

    They sum exactly to the receipt's cost.
    """
    lines = {stage.stage: to_nano(stage.cost_usd) for stage in receipt.stages}
    for line, usd in receipt.lines_usd.items():
        if line != MACHINE:
            lines[line] = to_nano(usd)
    return lines


def _sum(one: StageUse, other: StageUse) -> StageUse:
    return StageUse(
        stage=one.stage,
        cpu_s=one.cpu_s + other.cpu_s,
        wall_s=one.wall_s + other.wall_s,
        gb_s=one.gb_s + other.gb_s,
        cost_usd=one.cost_usd + other.cost_usd,
    )


def _resident_gb() -> float:
    """Memory that this process holds: now, or where the system does not tell, at most so far."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 (a tenth of pathlib's time)
            return int(file.read().split()[1]) * _PAGE_BYTES / 1e9
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most * (1 if sys.platform == "darwin" else 1024) / 1e9


def cpu_s() -> float:
    """CPU seconds of this process so far, all its threads, and of children it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
