"""The job ledger as workers move it: claim, renew, complete; each one atomic in Lua.

A claim gives a fence, a number that grows with every claim. Only the newest fence may complete the
job, so a worker that was frozen past its lease can neither end a job twice nor charge it twice.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
import threading
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import structlog

from pixfleet.config import keys
from pixfleet.config.prices import to_nano
from pixfleet.producer.ledger import Ledger, answering

if TYPE_CHECKING:
    from collections.abc import Generator

    import redis

    from pixfleet.config.results import Manifest

Outcome = Literal["run", "busy", "ended", "cancelled", "exhausted"]
_BATCH_TTL_S: Final = 7 * 86_400
"""A batch may take days; its first manifests must still be there when the summary is written."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Claim:
    """What the ledger answered to a worker that wants a job."""

    outcome: Outcome
    fence: int
    attempts: int
    owner: str
    """who held the job before"""
    lease_left_s: float


@dataclass(frozen=True, slots=True)
class Completion:
    """What the ledger answered to a worker that ends a job."""

    accepted: bool
    """False: another worker has taken the job over, and its result counts"""
    ended_batch: str | None
    """the batch whose last job this was"""


def owner_name() -> str:
    """This process, as the ledger names it: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _is_dead(owner: str) -> bool:
    """Is the owner a process of this host that is gone? Elsewhere only the lease can tell."""
    host, _, pid = owner.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    if int(pid) == os.getpid():
        return True  # a child does one task at a time, so its earlier claim is over
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class JobLedger(Ledger):
    """The ledger, with the moves that workers make."""

    def __init__(
        self, client: redis.Redis, *, lease_s: float, max_attempts: int, ttl_s: int
    ) -> None:
        super().__init__(client)
        self._lease_s = lease_s
        self._max_attempts = max_attempts
        self._ttl_s = ttl_s
        folder = resources.files("pixfleet.workers.fleet")
        self._claim, self._renew, self._complete = (
            client.register_script((folder / f"{name}.lua").read_text(encoding="utf-8"))
            for name in ("claim", "renew", "complete")
        )

    def claim(self, job_id: str) -> Claim:
        """Take up a job; a job whose owner died on this host is taken over at once."""
        dead = ""
        while True:
            with answering(self.redis):
                answer = self._claim(
                    keys=[keys.JOB + job_id, keys.RUNNING, keys.BATCH],
                    args=[job_id, owner_name(), int(self._lease_s), self._max_attempts, dead],
                )
            outcome, fence, attempts, owner, left_s = cast("list[Any]", answer)
            claim = Claim(outcome.decode(), fence, attempts, owner.decode(), left_s)
            if claim.outcome == "busy" and not dead and _is_dead(claim.owner):
                dead = claim.owner
                continue
            return claim

    def renew(self, job_id: str, fence: int, lease_s: float | None = None) -> bool:
        """Lengthen the lease; False: another worker has taken the job over."""
        with answering(self.redis):
            answer = self._renew(
                keys=[keys.JOB + job_id, keys.RUNNING],
                args=[job_id, fence, int(lease_s or self._lease_s)],
            )
        return answer == 1

    def release(self, job_id: str, fence: int) -> None:
        """Give the job back unharmed: it waits for a retry, and the attempt does not count."""
        with answering(self.redis):
            self._renew(keys=[keys.JOB + job_id, keys.RUNNING], args=[job_id, fence, 0])

    @contextmanager
    def heartbeat(self, job_id: str, fence: int) -> Generator[None]:
        """Renew the lease three times a lease while the body works."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(self._lease_s / 3):
                try:
                    if not self.renew(job_id, fence):
                        return
                except ConnectionError as error:
                    _log.warning("heartbeat.missed", job=job_id, error=str(error))

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def complete(self, manifest: Manifest, fence: int) -> Completion:
        """End the job and charge its spend, once."""
        receipt = manifest.receipt
        sums = {
            "images": 1,
            "variants": len(manifest.variants),
            "bytes_in": manifest.bytes or 0,
            "bytes_out": sum(v.bytes for v in manifest.variants),
            "pixels": (manifest.width or 0) * (manifest.height or 0),
            "memo_hits": receipt.memo_hits,
            "cpu_ms": round(receipt.cpu_s * 1000),
            "cost_nano_usd": to_nano(receipt.cost_usd),
            "saved_nano_usd": to_nano(receipt.saved_usd),
        }
        day = dt.datetime.now(dt.UTC).date().isoformat()
        state = "done" if manifest.status == "done" else "failed"
        with answering(self.redis):
            answer = self._complete(
                keys=[
                    keys.JOB + manifest.job_id,
                    keys.RUNNING,
                    keys.SPEND + day,
                    keys.TOTALS,
                    keys.BATCH,
                ],
                args=[
                    manifest.job_id,
                    fence,
                    state,
                    zlib.compress(manifest.model_dump_json().encode()),
                    max(self._ttl_s, _BATCH_TTL_S) if self._in_batch(manifest) else self._ttl_s,
                    f"{manifest.tenant}|{manifest.recipe}",
                    *(part for name, number in sums.items() for part in (name, number)),
                ],
            )
        accepted, batch, last = cast("list[Any]", answer)
        return Completion(accepted == 1, batch.decode() if last else None)

    def _in_batch(self, manifest: Manifest) -> bool:
        return self.redis.hexists(keys.JOB + manifest.job_id, "batch") is True

    def finish_batch(self, batch: str, *, problem: str = "") -> None:
        """The summary is written, or cannot be, and why."""
        with answering(self.redis):
            pipe = self.redis.pipeline()
            pipe.hset(keys.BATCH + batch, mapping={"summarized": "1", "problem": problem})
            pipe.expire(keys.BATCH + batch, _BATCH_TTL_S)
            pipe.expire(keys.BATCH_JOBS + batch, _BATCH_TTL_S)
            pipe.execute()
