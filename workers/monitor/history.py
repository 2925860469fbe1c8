"""What the fleet was like before: rows in Redis by 5 s for an hour, by minute, by hour for a year.

A row is a reading, whose sums count since the ledger began: so rows that are missing or written
twice falsify nothing, and what came about between any two of them is exact. Gauges of a minute or
an hour are the highest that were seen in it.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, cast

from pixfleet.config import keys
from pixfleet.producer.connection import answering

from .collect import Reading
from .histogram import Histogram
from .rates import Rates, rates

if TYPE_CHECKING:
    import redis

_PER_HASH: Final = 360
_TRIED: Final = 10
"""Rows of a ring that are tried, should another version have written them."""
_GAP_STEPS: Final = 3
"""Steps without a row after which nobody can say what it was like."""


@dataclass(frozen=True, slots=True)
class _Ring:
    step_s: int
    kept_s: int

    def key(self, at_s: float) -> str:
        return f"{keys.HISTORY}{self.step_s}:{int(at_s // (self.step_s * _PER_HASH))}"

    def slot(self, at_s: float) -> int:
        return int(at_s // self.step_s)


RINGS: Final = (_Ring(5, 3_600), _Ring(60, 2 * 86_400), _Ring(3_600, 400 * 86_400))
"""Steps, and how long their rows are kept."""


@dataclass(frozen=True, slots=True)
class Point:
    """One stretch of time.

    Attributes:
        at_s: its end, UTC seconds.
        reading: at its end; gauges are the highest of the stretch.
        rates: of what came about in it; None: nobody looked for so long that it is not known when.
    """

    at_s: float
    reading: Reading
    rates: Rates | None


class History:
    """Keeps readings, and gives them back.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client
        self._newest: dict[int, tuple[int, Reading]] = {}

    def record(self, reading: Reading) -> None:
        """Keep a reading; of several in one step the last, with the highest gauges of all."""
        rows = {ring: self._in_step(ring, reading) for ring in RINGS}
        with answering(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            for ring, row in rows.items():
                name = ring.key(reading.at_s)
                pipe.hset(name, str(ring.slot(reading.at_s)), _packed(row))
                pipe.expire(name, ring.kept_s + ring.step_s * _PER_HASH)
            pipe.execute()
        for ring, row in rows.items():
            self._newest[ring.step_s] = (ring.slot(row.at_s), row)

    def points(self, until_s: float, span_s: float, step_s: int) -> list[Point]:
        """The last ``span_s`` until then in stretches of ``step_s``, the oldest first."""
        readings = self._read(until_s - span_s, until_s, step_s)
        return [
            Point(
                later.at_s,
                later,
                rates(earlier, later) if later.at_s - earlier.at_s <= _GAP_STEPS * step_s else None,
            )
            for earlier, later in pairwise(readings)
        ]

    def newest_until(self, at_s: float) -> Reading | None:
        """The newest row of a step that was over by then; None where there is none."""
        for ring in RINGS:
            last = ring.slot(at_s) - 1
            first = ring.slot(at_s - ring.kept_s)
            names = self._names(ring, first, last)
            with answering(self._redis):
                pipe = self._redis.pipeline(transaction=False)
                for name in names:
                    pipe.hkeys(name)
                slots = [int(slot) for found in pipe.execute() for slot in found]
                for slot in sorted((slot for slot in slots if slot <= last), reverse=True)[:_TRIED]:
                    packed = self._redis.hget(ring.key(slot * ring.step_s), str(slot))
                    if packed and (row := _unpacked(packed)):
                        return row
        return None

    @staticmethod
    def _names(ring: _Ring, first: int, last: int) -> list[str]:
        """Of the hashes that hold these slots, the oldest first."""
        starts = [*range(first, last, _PER_HASH), last]
        return list(dict.fromkeys(ring.key(slot * ring.step_s) for slot in starts))

    def _in_step(self, ring: _Ring, reading: Reading) -> Reading:
        slot = ring.slot(reading.at_s)
        if ring.step_s in self._newest:
            known, row = self._newest[ring.step_s]
            return _peaks(row, reading) if known == slot else reading
        with answering(self._redis):
            packed = self._redis.hget(ring.key(reading.at_s), str(slot))
        row = _unpacked(packed) if packed else None
        return _peaks(row, reading) if row else reading

    def _read(self, since_s: float, until_s: float, step_s: int) -> list[Reading]:
        """One reading of each step, and the one before the first."""
        fine = [
            ring for ring in RINGS if ring.kept_s >= until_s - since_s and ring.step_s <= step_s
        ]
        ring = fine[-1] if fine else RINGS[-1]
        first, last = ring.slot(since_s) - 1, ring.slot(until_s)
        names = self._names(ring, first, last)
        with answering(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            for name in names:
                pipe.hgetall(name)
            found = cast("list[dict[bytes, bytes]]", pipe.execute())
        rows = {int(slot): packed for fields in found for slot, packed in fields.items()}
        steps: dict[int, Reading] = {}
        for slot in sorted(slot for slot in rows if first <= slot <= last):
            reading = _unpacked(rows[slot])
            if reading is None:
                continue
            step = int(reading.at_s // step_s)
            steps[step] = _peaks(steps[step], reading) if step in steps else reading
        return list(steps.values())


def _peaks(earlier: Reading, later: Reading) -> Reading:
    """The later reading, with the higher gauges of both."""
    return replace(
        later,
        queued={name: max(n, earlier.queued.get(name, 0)) for name, n in later.queued.items()},
        oldest_s={
            name: max(s, earlier.oldest_s.get(name, 0)) for name, s in later.oldest_s.items()
        },
        held=max(earlier.held, later.held),
        running=max(earlier.running, later.running),
        workers=max(earlier.workers, later.workers),
        at_risk=max(earlier.at_risk, later.at_risk),
        draining=max(earlier.draining, later.draining),
        hour_usd=max(earlier.hour_usd, later.hour_usd),
    )


def _packed(reading: Reading) -> bytes:
    row = {
        "at": reading.at_s,
        "queued": reading.queued,
        "oldest": reading.oldest_s,
        "held": reading.held,
        "running": reading.running,
        "crew": [reading.workers, reading.at_risk, reading.draining],
        "hour_usd": str(reading.hour_usd),
        "totals": reading.totals,
        "took": {name: [taken.counts, taken.sum_us] for name, taken in reading.took.items()},
        "failures": reading.failures,
    }
    return zlib.compress(json.dumps(row, separators=(",", ":")).encode())


def _unpacked(packed: bytes) -> Reading | None:
    """None of what another version wrote in another form."""
    try:
        return _reading(json.loads(zlib.decompress(packed)))
    except (zlib.error, ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        return None


def _reading(row: dict[str, Any]) -> Reading:
    workers, at_risk, draining = row["crew"]
    return Reading(
        at_s=row["at"],
        queued=row["queued"],
        oldest_s=row["oldest"],
        held=row["held"],
        running=row["running"],
        workers=workers,
        at_risk=at_risk,
        draining=draining,
        hour_usd=Decimal(row["hour_usd"]),
        totals=row["totals"],
        took={
            name: Histogram({int(bucket): count for bucket, count in counts.items()}, sum_us)
            for name, (counts, sum_us) in row["took"].items()
        },
        failures=row["failures"],
    )
