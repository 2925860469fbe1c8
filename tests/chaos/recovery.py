"""How long it takes until a job that was hit runs again, or ends."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from pixfleet.config import keys

if TYPE_CHECKING:
    import redis

Recovered = Literal["runs again", "ended"]
_ENDED: Final = {"done", "failed", "quarantined", "cancelled"}


@dataclass
class _Hit:
    kind: str
    job: str
    fence: int
    since_s: float
    by: Recovered


@dataclass
class Recovery:
    """Follows the jobs that faults hit.

    Where a fault takes a process away, the job has recovered when a worker takes it up again; one
    that ended all the same was not hit. Where it takes a service away, the time is that from the
    service's return until the job ended.
    """

    client: redis.Redis
    seconds: dict[str, list[float]] = field(default_factory=dict)
    worst: dict[str, str] = field(default_factory=dict)
    """the job that took longest, by kind"""
    _open: list[_Hit] = field(default_factory=list)

    def running(self) -> dict[str, tuple[str, int]]:
        """Owner and fence of every job in work."""
        ids = [job.decode() for job in self.client.zrange(keys.RUNNING, 0, -1)]
        pipe = self.client.pipeline(transaction=False)
        for job in ids:
            pipe.hmget(keys.JOB + job, "state", "owner", "fence")
        found = zip(ids, pipe.execute(), strict=True)
        return {
            job: (owner.decode(), int(fence))
            for job, (state, owner, fence) in found
            if state == b"running" and owner and fence
        }

    def follow(self, kind: str, jobs: dict[str, int], by: Recovered = "runs again") -> None:
        """Jobs and their fences when the fault came, or when what it took returned."""
        now_s = time.monotonic()
        self.seconds.setdefault(kind, [])
        self._open += [_Hit(kind, job, fence, now_s, by) for job, fence in jobs.items()]

    def took(self, kind: str, seconds: float, job: str = "") -> None:
        """A time that somebody else measured."""
        known = self.seconds.setdefault(kind, [])
        if not known or seconds > max(known):
            self.worst[kind] = job
        known.append(seconds)

    def look(self) -> None:
        """See who has recovered since the last look."""
        pipe = self.client.pipeline(transaction=False)
        for hit in self._open:
            pipe.hmget(keys.JOB + hit.job, "state", "fence")
        still: list[_Hit] = []
        for hit, (state, fence) in zip(self._open, pipe.execute(), strict=True):
            ended = state is None or state.decode() in _ENDED
            again = int(fence or 0) > hit.fence
            if again or (ended and hit.by == "ended"):
                self.took(hit.kind, time.monotonic() - hit.since_s, hit.job)
            elif not ended:
                still.append(hit)
        self._open = still

    def figures(self) -> dict[str, dict[str, float]]:
        """Per kind: how many, median and worst in seconds."""
        return {
            kind: {
                "recovered": len(times),
                "median_s": round(statistics.median(times), 2) if times else None,
                "worst_s": round(max(times), 2) if times else None,
                "worst_job": self.worst.get(kind, ""),
            }
            for kind, times in self.seconds.items()
        }
