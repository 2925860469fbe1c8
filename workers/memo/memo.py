"""Memoization of whole jobs, variants and features; why so: docs/decisions/0003-memo.md."""

from __future__ import annotations

import hashlib
import json
import time
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import structlog

from pixfleet.config import keys as names
from pixfleet.workers.errors import WorkError

from .entry import Evicted, MemoEntry, MemoLinks, MemoStats, MemoValue
from .index import MemoIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis

    from pixfleet.workers.storage.blobs import BlobStore

__all__ = ["Evicted", "Memo", "MemoEntry", "MemoLinks", "MemoStats", "MemoValue"]

_log = structlog.get_logger(__name__)
_POLL_FIRST_S: Final = 0.005
_POLL_MOST_S: Final = 0.1
_BATCH: Final = 100


class Memo:
    """Results by key; the index is in Redis, the blobs are in the object store.

    ``max_bytes`` bounds blobs and metadata together, ``max_age_s`` the time since an entry was last
    used. A blob that is missing or corrupt makes its entry a miss.

    Raises, from every method but ``key``:
        RetryableError: ``memo_unavailable``: Redis did not answer.
        StoreUnavailableError: the object store did not answer to a read.
    """

    def __init__(
        self,
        client: redis.Redis,
        blobs: BlobStore,
        *,
        max_bytes: int,
        max_age_s: int,
        lock_s: float,
        namespace: str = names.MEMO,
    ) -> None:
        self._index = MemoIndex(client, namespace)
        self._blobs = blobs
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._lock_s = lock_s

    @staticmethod
    def key(kind: str, *parts: Any) -> str:
        """SHA-256 in hex of the kind, the parts (JSON) and pixfleet's version."""
        canonical = json.dumps(
            [kind, _version(), parts],
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )
        return hashlib.sha256(canonical.encode()).hexdigest()

    def get(self, key: str) -> MemoEntry | None:
        """The entry, counted as a hit; None, counted as a miss, where none is whole."""
        found = self._index.find(key)
        if found is not None:
            blobs = [blob for blob in self._blobs.get_blobs(found.sha256s) if blob is not None]
            if len(blobs) == len(found.sha256s):
                self._index.count_hit(key, found)
                return MemoEntry(found.meta, tuple(blobs), found.cost_usd, found.cpu_s)
            self._index.forget(key)
        self._index.count_miss()
        return None

    def put(self, key: str, value: MemoValue | MemoLinks) -> bool:
        """Remember a result; False where its blobs could not be kept, which is no failure.

        What then exceeds ``max_bytes`` is evicted at once.
        """
        if isinstance(value, MemoLinks):
            blobs = [(sha256, -1) for sha256 in value.sha256s]
        else:
            stored = self._stored(value.blobs)
            if stored is None:
                return False
            blobs = stored
        known, kept_bytes = self._index.record(key, value.meta, blobs, value.cost_usd, value.cpu_s)
        if kept_bytes > self._max_bytes:
            self.evict()
        return known

    def once(
        self, key: str, compute: Callable[[], MemoValue]
    ) -> tuple[MemoEntry | MemoValue, bool]:
        """The entry, or what ``compute`` makes, and whether it came from the memo.

        Of several that want the same at once, one computes and the others wait for its entry. Its
        lock is renewed while it computes and expires ``lock_s`` after its owner died; an exception
        from ``compute`` passes through and lets the next one try at once.
        """
        entry = self.get(key)
        wait_s = _POLL_FIRST_S
        while entry is None:
            lock = self._index.lock(key, self._lock_s)
            if lock is not None:
                with lock:
                    # Another may have finished between our look and our lock.
                    if self._index.exists(key) and (entry := self.get(key)) is not None:
                        break
                    value = compute()
                    self.put(key, value)
                    return value, False
            time.sleep(wait_s)
            wait_s = min(_POLL_MOST_S, wait_s * 1.5)
            if self._index.exists(key):
                entry = self.get(key)
        return entry, True

    def evict(self) -> Evicted:
        """Forget what was unused for too long, then the least recently used until the bound holds.

        Blobs that no entry uses any more are deleted. Several may evict at once.
        """
        entries = freed_bytes = 0
        while stale := self._index.stale(time.time() - self._max_age_s, _BATCH):
            for key in stale:
                dropped, freed = self._index.forget(key)
                entries, freed_bytes = entries + dropped, freed_bytes + freed
        while self._index.kept_bytes() > self._max_bytes:
            least_used = self._index.least_used(1)
            if not least_used:
                break
            dropped, freed = self._index.forget(least_used[0])
            entries, freed_bytes = entries + dropped, freed_bytes + freed
        self._delete_doomed()
        return Evicted(entries=entries, bytes=freed_bytes)

    def stats(self) -> MemoStats:
        """Hits, misses, size and savings, over all processes that share the index."""
        return self._index.stats()

    def _stored(self, blobs: Sequence[bytes]) -> list[tuple[str, int]] | None:
        if not blobs:
            return []
        sha256s = [hashlib.sha256(blob).hexdigest() for blob in blobs]
        self._index.expect(sha256s)
        try:
            self._blobs.put_blobs(blobs)
        except WorkError as error:
            _log.warning("memo.not_kept", code=error.code, reason=error.message, hint=error.hint)
            return None
        return [(sha256, len(blob)) for sha256, blob in zip(sha256s, blobs, strict=True)]

    def _delete_doomed(self) -> None:
        while True:
            due, unused = self._index.doomed(_BATCH)
            if not due:
                return
            try:
                self._blobs.delete_blobs(unused)
            except WorkError as error:  # they stay doomed: the next eviction tries again
                _log.warning("memo.not_deleted", code=error.code, reason=error.message)
                return
            self._index.settle(due)


@lru_cache(maxsize=1)
def _version() -> str:
    return metadata.version("pixfleet")
