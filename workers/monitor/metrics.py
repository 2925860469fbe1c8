"""The fleet as Prometheus metrics; docs/metrics.md lists them."""

from __future__ import annotations

import math
import time
from collections import Counter
from decimal import Decimal
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.utils import floatToGoString

from pixfleet.config.budgets import FLEET, RUNGS
from pixfleet.workers.spend.outlook import IDLE

from .histogram import Histogram
from .labels import NamedFew, largest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from .collect import Reading
    from .snapshot import Expected, Snapshot

_MOST_BUDGETS: Final = 200
_COUNTED: Final = (
    ("images_done", "done", "images done"),
    ("images_failed", "failed", "images failed or partial"),
    ("pixels", "pixels", "pixels of sources"),
    ("source_bytes", "bytes_in", "bytes of sources"),
    ("variants", "variants", "variants made or recalled"),
    ("variants_recalled", "recalled", "variants that the memo had"),
    ("variant_bytes", "bytes_out", "bytes of variants"),
    ("memo_hits", "memo_hits", "computations that the memo spared"),
    ("interruptions", "interruptions", "workers that EC2 told of their machine's end"),
    ("rebalances", "rebalances", "workers that EC2 recommended to replace"),
    ("given_back", "given_back", "steps that workers gave back before they went"),
)
_PAID: Final = (
    ("spend", "cost_nano_usd", "what ended jobs cost by their receipts, US dollars"),
    ("saved", "saved_nano_usd", "what the memo saved, US dollars"),
    ("rework", "rework_nano_usd", "work that was thrown away, US dollars"),
)
_TIMED: Final = (
    ("cpu", "cpu_ms", "CPU seconds of jobs"),
    ("rework", "rework_ms", "wall seconds of given back steps that were thrown away"),
)


class FleetMetrics:
    """A collector of the newest snapshot: a scrape asks nobody.

    While the ledger is away, or nobody has looked for ``fresh_s``, there are counters, as they
    were, and no gauges: what was true then says nothing of now.
    """

    def __init__(self, fresh_s: float = math.inf) -> None:
        self._fresh_s = fresh_s
        self._newest: Snapshot | None = None
        self._shown_s = -math.inf
        self._codes, self._stages = NamedFew(), NamedFew()
        self.expected_usd: Expected = {}

    def show(self, snapshot: Snapshot) -> None:
        """From now on, this one."""
        reading = snapshot.reading
        self._codes.learn(reading.failures)
        self._stages.learn({name: taken.count for name, taken in _took(reading, "stage").items()})
        self._newest, self._shown_s = snapshot, time.monotonic()

    def hide(self) -> None:
        """The ledger is away."""
        self._shown_s = -math.inf

    @property
    def current(self) -> Snapshot | None:
        """The snapshot, if it is one of now."""
        return self._newest if time.monotonic() - self._shown_s <= self._fresh_s else None

    def collect(self) -> Iterator[Metric]:
        """What a scrape gets."""
        known, current = self._newest, self.current
        yield InfoMetricFamily("pixfleet_build", "this monitor", {"version": version("pixfleet")})
        yield GaugeMetricFamily(
            "pixfleet_ledger_up", "1 while the ledger's Redis answers", int(current is not None)
        )
        if known:
            yield from self._counters(known.reading)
        if current:
            yield from _gauges(current)
            yield from _money(current, self.expected_usd)

    def _counters(self, reading: Reading) -> Iterator[Metric]:
        totals = reading.totals
        for name, field, text in _COUNTED:
            yield CounterMetricFamily(f"pixfleet_{name}", text, totals.get(field, 0))
        for name, field, text in _PAID:
            yield CounterMetricFamily(f"pixfleet_{name}_usd", text, totals.get(field, 0) / 1e9)
        for name, field, text in _TIMED:
            yield CounterMetricFamily(f"pixfleet_{name}_seconds", text, totals.get(field, 0) / 1e3)
        yield CounterMetricFamily(
            "pixfleet_spent_usd",
            "all that was spent, idle machines included",
            float(reading.spent_usd),
        )
        codes: Counter[str] = Counter()
        for code, count in reading.failures.items():
            codes[self._codes.label(code)] += count
        yield _labelled(
            CounterMetricFamily("pixfleet_failures", "jobs by failure", labels=["code"]), codes
        )
        jobs = _took(reading, "job")
        yield _histograms("pixfleet_job_seconds", "how long jobs took", "phase", jobs)
        stages: dict[str, Histogram] = {}
        for name, taken in _took(reading, "stage").items():
            label = self._stages.label(name)
            stages[label] = stages.get(label, Histogram()).plus(taken)
        yield _histograms("pixfleet_stage_seconds", "wall time of stages", "stage", stages)


def _gauges(snapshot: Snapshot) -> Iterator[Metric]:
    reading = snapshot.reading
    for name, text, by in (
        ("queued_jobs", "jobs that a worker could begin now", reading.queued),
        ("oldest_job_seconds", "since the oldest such job was submitted", reading.oldest_s),
    ):
        yield _labelled(GaugeMetricFamily(f"pixfleet_{name}", text, labels=["queue"]), by)
    for name, text, value in (
        ("held_jobs", "jobs that a budget holds back", reading.held),
        ("running_jobs", "jobs in work", reading.running),
        ("workers", "workers alive", reading.workers),
        ("workers_draining", "of them, those that take no more work", reading.draining),
        ("workers_at_risk", "of them, those that EC2 recommends to leave", reading.at_risk),
        ("machines_usd_per_hour", "what the workers' machines cost", reading.hour_usd),
        ("monitor_reading_seconds", "that the newest reading took", snapshot.took_s),
    ):
        yield GaugeMetricFamily(f"pixfleet_{name}", text, float(value))


def _money(snapshot: Snapshot, expected_usd: Expected) -> Iterator[Metric]:
    yield _labelled(
        GaugeMetricFamily("pixfleet_today_usd", "spend of the UTC day", labels=["owner"]),
        _owners(snapshot.today_usd),
    )
    # Many budgets: those that matter are the ones that are nearest to their limits.
    nearest = sorted(snapshot.standings, key=lambda one: (one.budget.owner != FLEET, -one.share))
    limits, spent, rungs, expected = (
        GaugeMetricFamily(f"pixfleet_budget_{name}", text, labels=["owner", "period"])
        for name, text in (
            ("limit_usd", "what may be spent in a period"),
            ("spent_usd", "what was spent in this period"),
            ("rung", "0 normal, 1 thrifty, 2 essential, 3 closed"),
            ("expected_usd", "forecast for the end of this period"),
        )
    )
    for standing in nearest[:_MOST_BUDGETS]:
        budget = standing.budget
        labels = [budget.owner, budget.period]
        limits.add_metric(labels, float(budget.limit_usd))
        spent.add_metric(labels, float(standing.spent_usd))
        rungs.add_metric(labels, RUNGS.index(standing.rung))
        seen_usd = expected_usd.get((budget.id, standing.ends_at))
        if seen_usd is not None:  # it may be a minute older than what was spent
            expected.add_metric(labels, float(max(seen_usd, standing.spent_usd)))
    yield from (limits, spent, rungs, expected)


def _owners(today_usd: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Tenants and recipes apart: the same money is of one and of the other."""
    owners = {name: today_usd.get(name, Decimal(0)) for name in (FLEET, IDLE)}
    for kind in ("tenant", "recipe"):
        sums = {name: usd for name, usd in today_usd.items() if name.startswith(f"{kind}:")}
        owners |= largest(sums, f"other {kind}s")
    return owners


def _took(reading: Reading, kind: str) -> dict[str, Histogram]:
    """Of jobs by phase, or of stages."""
    return {
        name.removeprefix(f"{kind}:"): taken
        for name, taken in reading.took.items()
        if name.startswith(f"{kind}:")
    }


def _labelled(
    family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[str, int | float | Decimal]
) -> Metric:
    for label, value in values.items():
        family.add_metric([label], float(value))
    return family


def _histograms(name: str, text: str, label: str, by: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[label])
    for value, taken in by.items():
        buckets = [(floatToGoString(bound_s), count) for bound_s, count in taken.cumulative()]
        family.add_metric([value], [*buckets, ("+Inf", taken.count)], taken.sum_us / 1e6)
    return family
