"""Jobs to look at: those that failed last, took longest, or are in work longest."""

from __future__ import annotations

import datetime as dt
import zlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, cast

from pixfleet.config import keys
from pixfleet.config.results import Manifest
from pixfleet.producer.connection import answering

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixfleet.producer.ledger import JobStatus, Ledger

_IN_WORK: Final = 200
"""Of the jobs in work, those that are looked at: the ones whose lease ends first."""


@dataclass(frozen=True, slots=True)
class _Job:
    id: str
    state: str
    source: str
    recipe: str
    tenant: str
    worker: str


@dataclass(frozen=True, slots=True)
class FailedJob(_Job):
    """A job that ended without all that it should have made; it can be retried."""

    ended_at: float
    """UTC seconds"""
    code: str
    reason: str
    hint: str
    """how to mend it"""
    more: int
    """failures beside that one"""


@dataclass(frozen=True, slots=True)
class SlowJob(_Job):
    """A job that took long, or is taking long."""

    took_s: float
    """its newest attempt"""


class RecentJobs:
    """Reads them in a few round trips, however many jobs there are.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._redis: Any = ledger.redis

    def failed(self, most: int) -> list[FailedJob]:
        """The newest end first; what has expired is left out."""
        ids = list(self._scored([keys.ENDED + "failed", keys.ENDED + "quarantined"], most))
        with answering(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipe.hget(keys.JOB + job_id, "manifest")
            packed = dict(zip(ids, pipe.execute(), strict=True))
        return [
            _failed(status, packed[status.id])
            for status in self._ledger.statuses(ids)
            if status.state in ("failed", "quarantined")
        ]

    def slowest(self, now: dt.datetime, most: int) -> list[SlowJob]:
        """Of those that ended today and yesterday, the slowest first."""
        days = (now, now - dt.timedelta(days=1))
        took_s = self._scored([f"{keys.SLOWEST}{day:%Y-%m-%d}" for day in days], most)
        return [_slow(status, took_s[status.id]) for status in self._ledger.statuses(list(took_s))]

    def in_work(self, now_s: float, most: int) -> list[SlowJob]:
        """Those that were begun first."""
        with answering(self._redis):
            found = cast("list[bytes]", self._redis.zrange(keys.RUNNING, 0, _IN_WORK - 1))
        began = [
            _slow(status, max(0.0, now_s - status.began_at))
            for status in self._ledger.statuses([job_id.decode() for job_id in found])
            if status.state == "running" and status.began_at
        ]
        return sorted(began, key=lambda job: -job.took_s)[:most]

    def _scored(self, names: Sequence[str], most: int) -> dict[str, float]:
        """Members of sorted sets by their scores, the highest first."""
        with answering(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            for name in names:
                pipe.zrevrange(name, 0, most - 1, withscores=True)
            found = [pair for pairs in pipe.execute() for pair in pairs]
        found.sort(key=lambda pair: -pair[1])
        return {member.decode(): score for member, score in found[:most]}


def _facts(status: JobStatus) -> dict[str, str]:
    return {field.name: getattr(status, field.name) for field in fields(_Job)}


def _failed(status: JobStatus, packed: bytes | None) -> FailedJob:
    manifest = Manifest.model_validate_json(zlib.decompress(packed)) if packed else None
    failures = manifest.failures if manifest else ()
    first = failures[0] if failures else None
    return FailedJob(
        **_facts(status),
        ended_at=status.ended_at or 0,
        code=first.code if first else "",
        reason=first.message if first else status.why,
        hint=first.hint if first else "",
        more=max(0, len(failures) - 1),
    )


def _slow(status: JobStatus, took_s: float) -> SlowJob:
    return SlowJob(**_facts(status), took_s=took_s)
