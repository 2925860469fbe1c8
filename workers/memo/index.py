"""The memo's index in Redis: entries, their last use, and how many entries use each blob."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, cast

from redis.exceptions import RedisError

from pixfleet.config.prices import from_nano, to_nano
from pixfleet.workers.errors import RetryableError

from .entry import MemoStats
from .lock import Lock

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from decimal import Decimal

    import redis

ORPHAN_AFTER_S: Final = 600
"""A blob that is written but not in the index by then belongs to a process that died."""


@dataclass(frozen=True, slots=True)
class Found:
    """An entry as the index knows it; its blobs are not read yet."""

    meta: dict[str, Any]
    sha256s: list[str]
    cost_usd: Decimal
    cpu_s: float


class MemoIndex:
    """Every change is one Lua script or transaction, so that it happens whole or not at all.

    Raises, from every method:
        RetryableError: ``memo_unavailable``: Redis did not answer.
    """

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._lru = f"{namespace}lru"
        self._refs = f"{namespace}refs"
        self._sizes = f"{namespace}sizes"
        self._totals = f"{namespace}totals"
        self._doomed = f"{namespace}doomed"
        folder = resources.files("pixfleet.workers.memo")
        self._record = client.register_script((folder / "record.lua").read_text(encoding="utf-8"))
        self._drop = client.register_script((folder / "drop.lua").read_text(encoding="utf-8"))

    def find(self, key: str) -> Found | None:
        """The entry, if there is one; counts nothing."""
        with _answering():
            meta, sha256s, cost_nano_usd, cpu_us = cast(
                "list[bytes | None]",
                self._client.hmget(self._entry(key), "meta", "blobs", "cost_nano_usd", "cpu_us"),
            )
        if meta is None or sha256s is None:
            return None
        return Found(
            meta=json.loads(meta),
            sha256s=json.loads(sha256s),
            cost_usd=from_nano(int(cost_nano_usd or 0)),
            cpu_s=int(cpu_us or 0) / 1e6,
        )

    def exists(self, key: str) -> bool:
        """Is there such an entry."""
        with _answering():
            return bool(self._client.exists(self._entry(key)))

    def count_hit(self, key: str, found: Found) -> None:
        """The entry was used and spared what it cost."""
        with _answering():
            pipe = self._client.pipeline(transaction=True)
            pipe.zadd(self._lru, {key: time.time()}, xx=True)
            pipe.hincrby(self._totals, "hits", 1)
            pipe.hincrby(self._totals, "saved_nano_usd", to_nano(found.cost_usd))
            pipe.hincrby(self._totals, "saved_cpu_us", round(found.cpu_s * 1e6))
            pipe.execute()

    def count_miss(self) -> None:
        """Something was asked for and not there."""
        with _answering():
            self._client.hincrby(self._totals, "misses", 1)

    def expect(self, sha256s: Sequence[str]) -> None:
        """Blobs are about to be written; should this process die, an eviction finds them."""
        with _answering():
            due = time.time() + ORPHAN_AFTER_S
            self._client.zadd(self._doomed, dict.fromkeys(sha256s, due))

    def record(
        self,
        key: str,
        meta: Mapping[str, Any],
        blobs: Sequence[tuple[str, int]],
        cost_usd: Decimal,
        cpu_s: float,
    ) -> tuple[bool, int]:
        """Remember an entry: was it, and how many bytes are kept now.

        ``blobs`` are SHA-256 and size in bytes, −1 for one that other entries use; where that is
        not so any more nothing is remembered.
        """
        with _answering():
            known, kept_bytes = self._record(
                keys=self._keys(key),
                args=[
                    key,
                    time.time(),
                    json.dumps(meta, separators=(",", ":"), allow_nan=False),
                    to_nano(cost_usd),
                    round(cpu_s * 1e6),
                    json.dumps(blobs),
                ],
            )
        return bool(known), int(kept_bytes)

    def forget(self, key: str) -> tuple[int, int]:
        """Remove an entry: how many were (0 or 1), and the bytes that are free now."""
        with _answering():
            dropped, freed_bytes = self._drop(keys=self._keys(key), args=[key, time.time()])
        return int(dropped), int(freed_bytes)

    def stale(self, before_s: float, most: int) -> list[str]:
        """Keys of entries last used before a time (UTC seconds)."""
        with _answering():
            found = self._client.zrangebyscore(self._lru, "-inf", before_s, start=0, num=most)
        return [key.decode() for key in cast("list[bytes]", found)]

    def least_used(self, most: int) -> list[str]:
        """Keys of the entries that were not used for longest."""
        with _answering():
            found = self._client.zrange(self._lru, 0, most - 1)
        return [key.decode() for key in cast("list[bytes]", found)]

    def kept_bytes(self) -> int:
        """Bytes of all blobs, each once, and of all metadata."""
        with _answering():
            return int(cast("bytes | None", self._client.hget(self._totals, "bytes")) or 0)

    def doomed(self, most: int) -> tuple[list[str], list[str]]:
        """Blobs that are due, and those of them that no entry uses."""
        with _answering():
            found = self._client.zrangebyscore(self._doomed, "-inf", time.time(), start=0, num=most)
            due = [sha256.decode() for sha256 in cast("list[bytes]", found)]
            uses = cast("list[bytes | None]", self._client.hmget(self._refs, due)) if due else []
        return due, [sha256 for sha256, used in zip(due, uses, strict=True) if used is None]

    def settle(self, sha256s: Sequence[str]) -> None:
        """Blobs that were due have been dealt with."""
        with _answering():
            self._client.zrem(self._doomed, *sha256s)

    def stats(self) -> MemoStats:
        """Hits, misses, size and savings of all processes that share the index."""
        with _answering():
            totals = cast("dict[bytes, bytes]", self._client.hgetall(self._totals))
            entries = self._client.zcard(self._lru)
        count = {name.decode(): int(value) for name, value in totals.items()}
        return MemoStats(
            hits=count.get("hits", 0),
            misses=count.get("misses", 0),
            entries=entries,
            bytes=count.get("bytes", 0),
            saved_usd=from_nano(count.get("saved_nano_usd", 0)),
            saved_cpu_s=count.get("saved_cpu_us", 0) / 1e6,
        )

    def lock(self, key: str, lock_s: float) -> Lock | None:
        """The lock on computing an entry; None: another has it."""
        lock = Lock(self._client, f"{self._namespace}lock:{key}", lock_s)
        with _answering():
            return lock if lock.acquire() else None

    def _entry(self, key: str) -> str:
        return f"{self._namespace}entry:{key}"

    def _keys(self, key: str) -> list[str]:
        return [self._entry(key), self._lru, self._refs, self._sizes, self._totals, self._doomed]


@contextmanager
def _answering() -> Generator[None]:
    try:
        yield
    except RedisError as error:
        raise RetryableError(
            "memo_unavailable",
            f"the memo's Redis did not answer: {error}",
            "see to the Redis that PIXFLEET_LEDGER or PIXFLEET_BROKER names; the job comes again",
        ) from error
