"""What the fleet was like, in columns for charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from pixfleet.producer.connection import redis_now

from .fleet_document import THROUGHPUT, throughput, usd
from .history import History

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis

    from .history import Point

Span = Literal["1h", "1d", "1w", "1mo"]
SPANS: Final[tuple[Span, ...]] = get_args(Span)
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_LENGTHS: Final[dict[Span, tuple[int, int]]] = {
    "1h": (_HOUR_S, 15),
    "1d": (_DAY_S, 300),
    "1w": (7 * _DAY_S, _HOUR_S),
    "1mo": (31 * _DAY_S, 3 * _HOUR_S),
}
"""Seconds of each span and of its steps: some 170 to 290 points, as many as a chart can show."""
_DIGITS: Final = 4
"""Of a figure: a chart shows no more, and a month is some thousand figures."""
_QUANTILES: Final = {"p50_s": 0.5, "p95_s": 0.95, "p99_s": 0.99}
_GAUGES: Final[dict[str, Callable[[Point], object]]] = {
    "queued": lambda point: sum(point.reading.queued.values()),
    "held": lambda point: point.reading.held,
    "running": lambda point: point.reading.running,
    "oldest_s": lambda point: _short(max(point.reading.oldest_s.values(), default=0.0)),
    "workers": lambda point: point.reading.workers,
    "at_risk": lambda point: point.reading.at_risk,
    "draining": lambda point: point.reading.draining,
    "machines_usd_per_hour": lambda point: usd(point.reading.hour_usd),
}


class FleetHistory:
    """Columns of what History keeps.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._history = History(client)

    def read(self, span: Span) -> dict[str, Any]:
        """Points of the span until now: ``at_s`` is when each ends, ``null`` what is not known."""
        span_s, step_s = _LENGTHS[span]
        now_s = redis_now(self._redis).timestamp()
        points = self._history.points(now_s, span_s, step_s)
        return {
            "span": span,
            "from_s": now_s - span_s,
            "until_s": now_s,
            "step_s": step_s,
            "at_s": [point.at_s for point in points],
            **{name: [gauge(point) for point in points] for name, gauge in _GAUGES.items()},
            **_throughput(points),
            "latencies": _latencies(points),
            "failures": _failures(points),
        }


def _throughput(points: Sequence[Point]) -> dict[str, list[Any]]:
    rows = [throughput(point.rates) if point.rates else {} for point in points]
    spent = [usd(point.rates.usd_per_hour) if point.rates else None for point in points]
    return {
        **{name: [_short(row.get(name)) for row in rows] for name in THROUGHPUT},
        "usd_per_hour": spent,
    }


def _latencies(points: Sequence[Point]) -> dict[str, dict[str, list[float | None]]]:
    """Of ``job:wait``, …, ``stage:decode``, …: percentiles of what ended in each step."""
    took = [point.rates.took if point.rates else {} for point in points]
    return {
        name: {
            quantile: [_short(row[name].quantile_s(share)) if name in row else None for row in took]
            for quantile, share in _QUANTILES.items()
        }
        for name in sorted({name for row in took for name in row})
    }


def _failures(points: Sequence[Point]) -> dict[str, list[int | None]]:
    """Jobs that failed in each step, by code, the code with the most first."""
    rows = [point.rates.failures if point.rates else None for point in points]
    codes = {code for row in rows if row for code in row}
    columns: dict[str, list[int | None]] = {
        code: [None if row is None else row.get(code, 0) for row in rows] for code in codes
    }
    return dict(sorted(columns.items(), key=lambda pair: (-sum(filter(None, pair[1])), pair[0])))


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.{_DIGITS}g}")
