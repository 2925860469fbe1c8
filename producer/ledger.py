"""The job ledger as a producer sees it: register, look up, wait.

Redis holds a hash per job; workers move it (pixfleet.workers.fleet.jobs), producers read it.
"""

from __future__ import annotations

import json
import time
import uuid
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from pixfleet.config import keys
from pixfleet.config.contract import TASK_SUMMARIZE
from pixfleet.config.queue_settings import QueueSettings
from pixfleet.config.queues import ENCODE
from pixfleet.config.results import JobState, Manifest

from . import tracing
from .connection import answering
from .envelope import envelope
from .scripts import Scripts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import redis

    from .scripts import Post

_POLL_FIRST_S: Final = 0.02
_POLL_MOST_S: Final = 0.5
_STATUS_FIELDS: Final = (
    *("state", "tenant", "recipe", "source", "attempts", "submitted_at", "ended_at"),
    *("owner", "queue", "batch", "began", "history", "held_in"),
)


class UnknownJobError(LookupError):
    """No job of that id: never submitted, or its result has expired."""


class ResultTimeoutError(TimeoutError):
    """The job had not ended when the time was up."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Where a job stands."""

    id: str
    state: JobState
    tenant: str
    recipe: str
    source: str
    attempts: int
    """how often a worker took it up"""
    submitted_at: float
    """UTC seconds"""
    ended_at: float | None
    worker: str
    """who has it, or had it last"""
    queue: str
    batch: str
    began_at: float | None
    """when its newest attempt began"""
    why: str
    """why its newest attempt that is over ended as it did"""
    held_by: str
    """the owner whose budget holds it: fleet, tenant:NAME or recipe:NAME"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one worker's attempt at a job."""

    fence: int
    owner: str
    """host and process id"""
    began: float
    """UTC seconds"""
    ended: float
    how: str
    """lost, given_back, delayed, or the state in which the job ended"""
    why: str


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """Where a batch stands."""

    id: str
    submitted: int
    done: int
    failed: int
    closed: bool
    """no more jobs will come"""
    summarized: bool
    """manifest and report are written"""
    variants: int
    bytes_in: int
    bytes_out: int
    memo_hits: int
    cpu_ms: int
    cost_nano_usd: int
    saved_nano_usd: int
    wall_s: float
    """from the first submit to the last result so far"""
    problem: str
    """why the summary could not be written; empty when it could"""

    @property
    def ended(self) -> int:
        """Jobs that are done or failed."""
        return self.done + self.failed


@dataclass(frozen=True, slots=True)
class Registration:
    """One job to be registered."""

    id: str
    tenant: str
    recipe: str
    source: str
    queue: str
    batch: str
    message: bytes
    """the envelope that runs the job's first step"""
    deadline_s: float = 0
    """seconds from now until it must have begun; 0: none"""
    adopted: bool = False
    """a foreign client has put its message on the queue already"""
    webhook: str = ""
    """URL that is told when the job has ended"""


def counts(manifest: Manifest) -> dict[str, int]:
    """What a job's end adds to its batch and to the totals, money and time apart."""
    return {
        "images": 1,
        "variants": len(manifest.variants),
        "bytes_in": manifest.bytes or 0,
        "bytes_out": sum(variant.bytes for variant in manifest.variants),
        "pixels": (manifest.width or 0) * (manifest.height or 0),
        "memo_hits": manifest.receipt.memo_hits,
        "recalled": sum(variant.memo for variant in manifest.variants),
    }


def _status(job_id: str, row: list[str]) -> JobStatus:
    state, tenant, recipe, source, attempts, submitted, ended, *rest = row
    owner, queue, batch, began, past, held_in = rest
    return JobStatus(
        id=job_id,
        state=cast("JobState", state),
        tenant=tenant,
        recipe=recipe,
        source=source,
        attempts=int(attempts or 0),
        submitted_at=float(submitted or 0),
        ended_at=float(ended) if ended else None,
        worker=owner,
        queue=queue,
        batch=batch,
        began_at=float(began) if began else None,
        why=json.loads(past.rpartition("\n")[2])["why"] if past else "",
        held_by=held_in.partition("|")[0],
    )


class Ledger:
    """The ledger's records, for reading and registering.

    ``post`` sends messages to queues that are not in Redis; without it they are.
    """

    def __init__(
        self, client: redis.Redis, queues: QueueSettings | None = None, post: Post | None = None
    ) -> None:
        self.redis = client
        self.scripts = Scripts(client, queues or QueueSettings(), post)
        self._submit = self.scripts.load("pixfleet.producer", "submit")

    def register(self, jobs: Sequence[Registration]) -> list[tuple[int, int, str]]:
        """Register jobs in one round trip; each comes onto its queue when it is its turn.

        An answer for each: 1 accepted, 0 known already, -1 refused because too many jobs wait, -2
        because a budget is closed; the seconds after which a refused one should be tried again; and
        the closed budget in JSON.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        calls = [
            (
                *(job.id, job.tenant, job.recipe, job.source, job.queue, job.batch),
                *(job.message, job.deadline_s, int(job.adopted), job.webhook),
            )
            for job in jobs
        ]
        answers = self.scripts.run_many(self._submit, calls)
        return [(what, wait_s, why.decode()) for what, wait_s, why in answers]

    def status(self, job_id: str) -> JobStatus:
        """Where the job stands.

        Raises:
            UnknownJobError: no such job.
        """
        found = self.statuses([job_id])
        if not found:
            raise UnknownJobError(
                f"no job {job_id}: it was never submitted here, or its result has expired"
            )
        return found[0]

    def statuses(self, job_ids: Sequence[str]) -> list[JobStatus]:
        """Where these jobs stand, in one round trip; unknown ones are left out."""
        with answering(self.redis):
            pipe = self.redis.pipeline(transaction=False)
            for job_id in job_ids:
                pipe.hmget(keys.JOB + job_id, _STATUS_FIELDS)
            rows = pipe.execute()
        return [
            _status(job_id, [value.decode() if value is not None else "" for value in row])
            for job_id, row in zip(job_ids, rows, strict=True)
            if row[0] is not None
        ]

    def attempts(self, job_id: str) -> list[Attempt]:
        """The attempts at a job that are over, the oldest first; of many, the newest twenty."""
        with answering(self.redis):
            history = cast("bytes | None", self.redis.hget(keys.JOB + job_id, "history"))
        lines = history.decode().split("\n") if history else []
        return [Attempt(**json.loads(line)) for line in lines]

    def manifest(self, job_id: str) -> Manifest | None:
        """The manifest of an ended job, None while it has none."""
        with answering(self.redis):
            packed = cast("bytes | None", self.redis.hget(keys.JOB + job_id, "manifest"))
        return Manifest.model_validate_json(zlib.decompress(packed)) if packed else None

    def manifests(self, batch: str, *, page: int = 500) -> Iterator[Manifest]:
        """The manifests of a batch in the order of submission, read ``page`` at a time."""
        start = 0
        while True:
            with answering(self.redis):
                name = keys.BATCH_JOBS + batch
                ids = cast("list[bytes]", self.redis.lrange(name, start, start + page - 1))
                pipe = self.redis.pipeline(transaction=False)
                for job_id in ids:
                    pipe.hget(keys.JOB + job_id.decode(), "manifest")
                packed = pipe.execute()
            for blob in packed:
                if blob is not None:
                    yield Manifest.model_validate_json(zlib.decompress(blob))
            if len(ids) < page:
                return
            start += page

    def wait(self, job_id: str, timeout_s: float) -> Manifest:
        """The job's manifest, as soon as it has ended.

        Raises:
            UnknownJobError: no such job.
            ResultTimeoutError: it had not ended within ``timeout_s``.
        """
        deadline = time.monotonic() + timeout_s
        pause_s = _POLL_FIRST_S
        while True:
            if manifest := self.manifest(job_id):
                return manifest
            status = self.status(job_id)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                why = "is a worker running? `pixfleet doctor` tells"
                if status.held_by:
                    why = f"the budget of {status.held_by} holds it; `pixfleet budget` shows it"
                raise ResultTimeoutError(
                    f"job {job_id} is {status.state} after {timeout_s:g} s; {why}"
                )
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, _POLL_MOST_S)

    def close_batch(self, batch: str, fields: dict[str, str]) -> None:
        """Say that no more jobs will come, and what the summary needs to know."""
        with answering(self.redis):
            mapping: dict[Any, Any] = {**fields, "closed": "1"}
            self.redis.hset(keys.BATCH + batch, mapping=mapping)

    def cancel_batch(self, batch: str) -> None:
        """Jobs of the batch that no worker has taken up yet end as cancelled."""
        with answering(self.redis):
            self.redis.hset(keys.BATCH + batch, "cancelled", "1")

    def summarize(self, batch: str) -> None:
        """Ask for the batch's manifest and report; asking twice writes the same files."""
        with answering(self.redis):
            self.redis.zadd(keys.SUMMARIES, {batch: time.time()})
        self.post(TASK_SUMMARIZE, [{"batch": batch}])

    def post(
        self,
        task: str,
        arguments: Sequence[dict[str, Any]],
        headers: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """Queue a step for each argument that is no job's, before what has not begun.

        ``headers`` say for each which trace it belongs to; else it is the one that is current.
        """
        messages: list[bytes] = []
        traces = headers or [tracing.current()] * len(arguments)
        for argument, trace in zip(arguments, traces, strict=True):
            task_id = str(uuid.uuid4())
            messages.append(envelope(task, task_id, argument, ENCODE, tag=task_id, headers=trace))
        if messages:
            self.scripts.send(ENCODE, messages)

    def batch_fields(self, batch: str) -> dict[str, str]:
        """Everything that is recorded of a batch."""
        with answering(self.redis):
            raw = cast("dict[bytes, bytes]", self.redis.hgetall(keys.BATCH + batch))
        return {name.decode(): value.decode() for name, value in raw.items()}

    def workers(self, within_s: float = keys.ALIVE_S) -> int:
        """How many workers gave a sign of life in the last ``within_s``."""
        with answering(self.redis):
            return self.redis.zcount(keys.WORKERS, time.time() - within_s, "+inf")

    def batch(self, batch: str) -> BatchStatus:
        """Where a batch stands."""
        fields = self.batch_fields(batch)
        count = {name: int(value) for name, value in fields.items() if value.lstrip("-").isdigit()}
        return BatchStatus(
            id=batch,
            submitted=count.get("submitted", 0),
            done=count.get("done", 0),
            failed=count.get("failed", 0),
            closed="closed" in fields,
            summarized="summarized" in fields,
            variants=count.get("variants", 0),
            bytes_in=count.get("bytes_in", 0),
            bytes_out=count.get("bytes_out", 0),
            memo_hits=count.get("memo_hits", 0),
            cpu_ms=count.get("cpu_ms", 0),
            cost_nano_usd=count.get("cost_nano_usd", 0),
            saved_nano_usd=count.get("saved_nano_usd", 0),
            wall_s=max(0.0, float(fields.get("last_at", 0)) - float(fields.get("first_at", 0))),
            problem=fields.get("problem", ""),
        )
