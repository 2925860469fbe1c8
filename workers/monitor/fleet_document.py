"""The fleet's view as JSON: what the Fleet page and ``pixfleet top --json`` are given.

Money is decimal strings of USD, times are UTC seconds, durations end in ``_s``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from pixfleet.producer.roster import Worker
    from pixfleet.workers.spend.budgets import Standing

    from .fleet_view import FleetView, Latency
    from .rates import Rates
    from .recent import FailedJob

_TOTALS: Final = ("images", "done", "failed", "pixels", "bytes_in", "bytes_out", "variants")
_NANO_PLACES: Final = 9
THROUGHPUT: Final = (
    *("images_per_s", "failed_per_s", "megapixels_per_s"),
    *("bytes_in_per_s", "bytes_out_per_s", "memo_share"),
)
"""What ``throughput`` tells by the second, and the memo's part of the variants."""


def document(view: FleetView) -> dict[str, Any]:
    """All of the view but for what only counts up; ``null`` is what is not known."""
    reading, machines = view.reading, view.machines
    return {
        "at_s": view.at_s,
        "rates": throughput(view.rates) if view.rates else None,
        "rates_over_s": round(view.rates.over_s, 3) if view.rates else None,
        "queued": sum(reading.queued.values()),
        "oldest_s": max(reading.oldest_s.values(), default=0.0),
        "held": reading.held,
        "running": reading.running,
        "queues": [asdict(queue) for queue in view.queues],
        "money": {
            "usd_per_hour": usd(view.rates.usd_per_hour) if view.rates else None,
            "machines_usd_per_hour": usd(reading.hour_usd),
            "today_usd": usd(view.today_usd),
            "ever_usd": usd(reading.spent_usd),
        },
        "latencies_over_s": view.latencies_over_s,
        "phases": _latencies(view.latencies, "job"),
        "stages": _latencies(view.latencies, "stage"),
        "failures_1h": [{"code": code, "jobs": jobs} for code, jobs in view.failures],
        "crew": {
            "alive": reading.workers,
            "at_risk": reading.at_risk,
            "draining": reading.draining,
        },
        "workers": [_worker(worker) for worker in view.crew],
        "workers_more": view.crew_more,
        "machines": [asdict(kind) | {"hour_usd": usd(kind.hour_usd)} for kind in machines],
        "failed": [_failed(job) for job in view.failed],
        "slowest": [asdict(job) for job in view.slowest],
        "in_work": [asdict(job) for job in view.in_work],
        "totals": {name: reading.totals.get(name, 0) for name in _TOTALS},
        "budget": _budget(view.worst_budget) if view.worst_budget else None,
    }


def throughput(rates: Rates) -> dict[str, Any]:
    """What ended in a stretch of time, by the second."""
    return {
        "images_per_s": rates.images_per_s,
        "failed_per_s": rates.failed_per_s,
        "megapixels_per_s": rates.pixels_per_s / 1e6,
        "bytes_in_per_s": rates.bytes_in_per_s,
        "bytes_out_per_s": rates.bytes_out_per_s,
        "memo_share": rates.recalled_share,
    }


def usd(amount: Decimal) -> str:
    """To the nano-dollar, never with an exponent."""
    return f"{round(amount, _NANO_PLACES).normalize():f}"


def _latencies(latencies: Iterable[Latency], kind: str) -> list[dict[str, Any]]:
    return [
        asdict(one) | {"name": name}
        for one in latencies
        for family, _, name in [one.name.partition(":")]
        if family == kind
    ]


def _worker(worker: Worker) -> dict[str, Any]:
    hour = worker.hour_usd
    return asdict(worker) | {"hour_usd": None if hour is None else usd(hour)}


def _failed(job: FailedJob) -> dict[str, Any]:
    said = asdict(job)
    return said | {"ended_at_s": said.pop("ended_at")}


def _budget(standing: Standing) -> dict[str, Any]:
    budget = standing.budget
    return {
        "owner": budget.owner,
        "period": budget.period,
        "rung": standing.rung,
        "spent_usd": usd(standing.spent_usd),
        "limit_usd": usd(budget.limit_usd),
        "held": standing.held,
        "ends_at_s": standing.ends_at.timestamp(),
    }
