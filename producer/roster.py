"""The fleet's workers, as they describe themselves in Redis; told there to go, too.

Nothing here goes over the queue's broker: SQS carries no remote control.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from pixfleet.config import keys
from pixfleet.config.prices import from_nano

from .connection import answering

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    import redis

_DRAIN_TTL_S: Final = 600
_LOOK_S: Final = 0.2

WorkerState = Literal["working", "at risk", "draining", "gone"]


class UnknownWorkerError(LookupError):
    """No worker of that name; names those that there are."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker: a main process and its children."""

    name: str
    state: WorkerState
    """at risk: EC2 recommends to move its work; gone: silent for 30 s"""
    why: str
    """what told it to go, where it drains"""
    silent_s: float
    """since its last sign of life"""
    active: int | None
    """steps in work; None where it has not said"""
    children: int | None
    ends_within_s: float | None
    """until it gives back what still runs, where it drains"""
    machine: str
    """kind and terms of purchase, ``c7i.large spot``; empty where it has not said"""
    hour_usd: Decimal | None
    """what it costs to have it there for an hour"""


class Roster:
    """The workers of the fleet whose ledger the client reaches."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def workers(self) -> list[Worker]:
        """All that gave a sign of life and have not said goodbye, by name.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        now = time.time()
        with answering(self._redis):
            scored = self._redis.zrange(keys.WORKERS, 0, -1, withscores=True)
            seen = sorted(cast("list[tuple[bytes, float]]", scored))
            pipe = self._redis.pipeline(transaction=False)
            for name, _ in seen:
                pipe.hgetall(keys.WORKER + name.decode())
                pipe.exists(keys.DRAIN + name.decode())
            said = pipe.execute()
        return [
            _worker(name.decode(), now - at, fields, now, told=bool(told))
            for (name, at), fields, told in zip(seen, said[::2], said[1::2], strict=True)
        ]

    def drain(self, names: Iterable[str], within_s: float) -> list[str]:
        """Tell workers to go, each within so many seconds; the answer is who was there to hear it.

        Raises:
            UnknownWorkerError: one of them is not known; then none was told.
            LedgerUnavailableError: Redis did not answer.
        """
        known = {worker.name: worker for worker in self.workers()}
        wanted = list(dict.fromkeys(names))
        if unknown := [name for name in wanted if name not in known]:
            there = ", ".join(known) or "none; no worker is running"
            raise UnknownWorkerError(
                f"no worker is named {', '.join(unknown)}; the workers are: {there}"
            )
        living = [name for name in wanted if known[name].state != "gone"]
        with answering(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            for name in living:
                pipe.set(keys.DRAIN + name, f"{within_s:g}", ex=_DRAIN_TTL_S)
            pipe.execute()
        return living

    def wait_gone(self, names: Iterable[str], timeout_s: float) -> list[str]:
        """Wait until workers are gone; the answer is who still is there when the time is up."""
        waited = set(names)
        deadline = time.monotonic() + timeout_s
        while True:
            here = {worker.name for worker in self.workers() if worker.state != "gone"} & waited
            if not here or time.monotonic() > deadline:
                return sorted(here)
            time.sleep(_LOOK_S)


def _worker(
    name: str, silent_s: float, fields: dict[bytes, bytes], now: float, *, told: bool
) -> Worker:
    said = {field.decode(): value.decode() for field, value in fields.items()}
    state = "draining" if told else cast("WorkerState", said.get("state", "working"))
    return Worker(
        name=name,
        state="gone" if silent_s > keys.ALIVE_S else state,
        why=said.get("why", "") or ("drain" if told else ""),
        silent_s=max(0.0, silent_s),
        active=int(said["active"]) if "active" in said else None,
        children=int(said["children"]) if "children" in said else None,
        ends_within_s=max(0.0, float(said["until"]) - now) if said.get("until") else None,
        machine=said.get("machine", ""),
        hour_usd=from_nano(int(said["hour_nano_usd"])) if "hour_nano_usd" in said else None,
    )
