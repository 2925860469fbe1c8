"""The job ledger as workers move it: claim, renew, delay, complete; each one atomic in Lua.

The ledger is the truth, and messages only wake workers up: one that is lost is sent again by the
sweeper, one that comes twice is refused. A claim gives a fence, a number that grows with every
claim. Only the newest fence may complete the job, so a worker that was frozen past its lease can
neither end a job twice nor charge it twice.
"""

from __future__ import annotations

import contextvars
import json
import threading
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

from pixfleet.config import keys
from pixfleet.config.prices import to_nano
from pixfleet.config.queues import ENCODE
from pixfleet.producer.connection import answering
from pixfleet.producer.ledger import Ledger, counts
from pixfleet.producer.scripts import Scripts
from pixfleet.workers.spend.experience import experience
from pixfleet.workers.spend.meter import MACHINE, charges, cpu_s
from pixfleet.workers.spend.savings import adaptive_savings

from .owner import is_dead, owner_name

if TYPE_CHECKING:
    from collections.abc import Generator

    import redis

    from pixfleet.config.queue_settings import QueueSettings
    from pixfleet.config.results import JobState, Manifest, Receipt
    from pixfleet.producer.scripts import Post
    from pixfleet.workers.spend.machine import Machine

Outcome = Literal["run", "busy", "ended", "cancelled", "exhausted", "late", "held", "unknown"]
_BATCH_TTL_S: Final = 7 * 86_400
"""A batch may take days; its first manifests must still be there when the summary is written."""
CANCELLED: Final = "cancelled"
WORKER_LOST: Final = "worker_lost"
"""Codes of failures that are ends of their own."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """What the ledger answered to a worker that wants a job."""

    outcome: Outcome
    fence: int
    attempts: int
    tries: int
    """how often it was put off because the world was away"""
    owner: str
    """who held the job before"""
    lease_left_s: float
    thrifty: bool
    """a budget wants it made with the least effort"""


@dataclass(frozen=True, slots=True)
class Completion:
    """What the ledger answered to a worker that ends a job."""

    accepted: bool
    """False: another worker has taken the job over, and its result counts"""
    ended_batch: str | None
    """the batch whose last job this was"""


class JobLedger(Ledger):
    """The ledger, with the moves that workers make."""

    def __init__(
        self,
        client: redis.Redis,
        queues: QueueSettings,
        post: Post | None,
        *,
        lease_s: float,
        max_attempts: int,
        ttl_s: int,
        machine: Machine,
    ) -> None:
        super().__init__(client, queues, post)
        self._machine = machine
        self._claimed_cpu_s = 0.0
        self._lease_s = lease_s
        self._max_attempts = max_attempts
        self._ttl_s = ttl_s
        self._claim, self._renew, self._delay, self._complete = (
            self.scripts.load("pixfleet.workers.fleet", name)
            for name in ("claim", "renew", "delay", "complete")
        )

    def claim(self, job_id: str) -> Claim:
        """Take up a job; a job whose owner died on this host is taken over at once."""
        dead = ""
        while True:
            self._claimed_cpu_s = cpu_s()
            outcome, fence, attempts, tries, owner, left_s, thrifty = self.scripts.run(
                self._claim,
                *(job_id, owner_name(), self._lease_s, self._max_attempts, dead),
                self._machine.core_nano,
            )
            claim = Claim(
                *(outcome.decode(), fence, attempts, tries, owner.decode(), left_s, thrifty == 1)
            )
            if claim.outcome != "busy" or dead:
                return claim
            # A child does one task at a time, so an earlier claim of its own is over.
            if claim.owner != owner_name() and not is_dead(claim.owner):
                return claim
            dead = claim.owner

    def delay(
        self, job_id: str, fence: int, delay_s: float, why: str, in_vain: Receipt | None = None
    ) -> None:
        """Put the job off unharmed: it is tried again later, and the attempt does not count.

        Its CPU is charged as a retry, and the requests of the receipt ``in_vain`` as what they are.
        """
        nano = self._machine.cores_nano((cpu_s() - self._claimed_cpu_s) * 1e9)
        requests: dict[str, int] = {}
        if in_vain:
            requests = {kind: to_nano(in_vain.lines_usd[kind]) for kind in in_vain.requests}
        pairs = (part for pair in requests.items() for part in pair)
        self.scripts.ask(self._delay, job_id, fence, delay_s, why, nano, *pairs)

    @contextmanager
    def heartbeat(self, job_id: str, fence: int, part: str = "") -> Generator[bool]:
        """Renew the lease three times a lease while the body works on the job or a part of it.

        The value is False when another worker has taken the job over, so that nobody needs what
        the body would do.
        """
        done = threading.Event()

        def renew(what: str) -> bool:
            return self._keep(job_id, fence, part, what)

        def beat() -> None:
            while not done.wait(self._lease_s / 3):
                try:
                    if not renew("work"):
                        return
                except ConnectionError as error:
                    _log.warning("heartbeat.missed", job_id=job_id, error=str(error))

        wanted = renew("work") if part else True
        # Its lines belong to the step as well.
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(beat,), name="heartbeat", daemon=True)
        thread.start()
        try:
            yield wanted
        finally:
            done.set()
            thread.join()
            if part:
                with suppress(ConnectionError):
                    renew("over")

    def hand_over(self, job_id: str, fence: int) -> bool:
        """The job goes on in parts; False: another worker has taken it over."""
        return self._keep(job_id, fence, "", "hand_over")

    def _keep(self, job_id: str, fence: int, part: str, what: str) -> bool:
        return self.scripts.ask(self._renew, job_id, fence, self._lease_s, part, what, 0) == 1

    def complete(self, manifest: Manifest, fence: int) -> Completion:
        """End the job and charge its spend, once."""
        receipt = manifest.receipt
        sums = counts(manifest) | {
            "cpu_ms": round(receipt.cpu_s * 1000),
            "saved_nano_usd": to_nano(receipt.saved_usd),
        }
        machine_nano = to_nano(receipt.lines_usd.get(MACHINE, Decimal(0)))
        use = {
            "wall_ms": round(sum(stage.wall_s for stage in receipt.stages) * 1000),
            "gb_ms": round(receipt.gb_s * 1000),
            "machine_nano": machine_nano,
            "failed_nano": to_nano(receipt.cost_usd) if manifest.status == "failed" else 0,
            **adaptive_savings(manifest),
        }
        charged = {f"#{name}": number for name, number in (sums | use).items()} | charges(receipt)
        sums["cost_nano_usd"] = to_nano(receipt.cost_usd)
        accepted, batch = self.scripts.run(
            self._complete,
            manifest.job_id,
            fence,
            end_of(manifest),
            ", ".join(failure.code for failure in manifest.failures[:3]),
            zlib.compress(manifest.model_dump_json().encode()),
            self._ttl_s,
            max(self._ttl_s, _BATCH_TTL_S),
            machine_nano,
            len(sums),
            json.dumps(_seen(manifest)),
            *(part for pair in (*sums.items(), *charged.items()) for part in pair),
        )
        return Completion(accepted == 1, batch.decode() or None)

    def keep_trace(self, job_id: str, traceparent: str) -> None:
        """The notice of the job's end, which the sweeper sends, belongs to this trace."""
        with answering(self.redis):
            self.redis.hset(keys.JOB + job_id, "traceparent", traceparent)

    def finish_batch(self, batch: str, *, problem: str = "") -> None:
        """The summary is written, or cannot be, and why."""
        with answering(self.redis):
            pipe = self.redis.pipeline()
            pipe.zrem(keys.SUMMARIES, batch)
            pipe.hset(keys.BATCH + batch, mapping={"summarized": "1", "problem": problem})
            pipe.expire(keys.BATCH + batch, _BATCH_TTL_S)
            pipe.expire(keys.BATCH_JOBS + batch, _BATCH_TTL_S)
            pipe.execute()


def _seen(manifest: Manifest) -> dict[str, Any]:
    return {
        "experience": experience(manifest),
        "took": {stage.stage: stage.wall_s for stage in manifest.receipt.stages},
        "failed": sorted({failure.code for failure in manifest.failures}),
    }


def end_of(manifest: Manifest) -> JobState:
    """The final state of the job that a manifest tells of."""
    if manifest.status == "done":
        return "done"
    codes = {failure.code for failure in manifest.failures}
    if CANCELLED in codes:
        return "cancelled"
    return "quarantined" if WORKER_LOST in codes else "failed"


class Abandonment:
    """What a worker's main process tells the ledger of a child that is gone.

    The job is on the queue again at once: its own message would come back only behind everything
    that waits, and its lease would last as long as if its owner lived.
    """

    def __init__(self, client: redis.Redis, queues: QueueSettings, post: Post | None) -> None:
        self._scripts = Scripts(client, queues, post)
        self._abandon, self._renew = (
            self._scripts.load("pixfleet.workers.fleet", name) for name in ("abandon", "renew")
        )

    def tell(self, job_id: str, owner: str, how: Literal["lost", "given_back"], why: str) -> int:
        """The child ended over the job: it died (the attempt counts) or was ended (it does not).

        The answer is the milliseconds of work that are thrown away, -1 when the child held no job.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        (wasted_ms,) = self._scripts.run(self._abandon, job_id, owner, how, why, ENCODE)
        return int(wasted_ms)

    def part_given_back(
        self, job_id: str, fence: int, part: str, lease_s: float, took_s: float
    ) -> None:
        """The child was ended over a part of a fanned-out job, whose message comes back by itself.

        Otherwise the whole job would begin again when the child's lease runs out. ``took_s``: what
        the part had taken until then.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        self._scripts.ask(self._renew, job_id, fence, lease_s, part, "over", round(took_s * 1000))
