"""A lock in Redis that outlives neither its owner nor its use."""

from __future__ import annotations

import secrets
import threading
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Self, cast

from redis.exceptions import RedisError

from pixfleet.workers.fleet.owner import is_dead, owner_name

if TYPE_CHECKING:
    from types import TracebackType

    import redis


class Lock:
    """Held while computing: renewed by a thread, gone ``lock_s`` after its owner died.

    Who can see that the owner died, on the same machine, takes it at once.
    ``acquire`` answers at once. Used as a context manager after it said True, it is released at
    the end, whatever happens.
    """

    def __init__(self, client: redis.Redis, key: str, lock_s: float) -> None:
        self._client = client
        self._key = key
        self._lock_ms = max(1, int(lock_s * 1_000))
        self._token = f"{owner_name()} {secrets.token_hex(16)}"
        self._over = threading.Event()
        self._renew = client.register_script(_script("renew"))
        self._release = client.register_script(_script("release"))
        self._thread = threading.Thread(target=self._keep, name="memo-lock", daemon=True)

    def acquire(self) -> bool:
        """Take the lock if nobody has it, or only a process of this host that is gone."""
        if self._client.set(self._key, self._token, nx=True, px=self._lock_ms):
            return True
        holder = cast("bytes | None", self._client.get(self._key))
        if holder is None or not is_dead(holder.decode().partition(" ")[0]):
            return False
        self._release(keys=[self._key], args=[holder])
        return bool(self._client.set(self._key, self._token, nx=True, px=self._lock_ms))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        try:
            self._release(keys=[self._key], args=[self._token])
        except RedisError:
            return  # it expires by itself, and what was computed counts

    def _keep(self) -> None:
        while not self._over.wait(self._lock_ms / 3_000):
            try:
                if not self._renew(keys=[self._key], args=[self._token, self._lock_ms]):
                    return  # expired: another may compute the same, which does no harm
            except RedisError:
                continue  # it may be back before the lock expires


@lru_cache
def _script(name: str) -> str:
    folder = resources.files("pixfleet.workers.memo")
    return (folder / f"{name}.lua").read_text(encoding="utf-8")
