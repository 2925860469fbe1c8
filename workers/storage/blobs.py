"""Blobs named by the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from pixfleet.workers.errors import SourceError

from .objects import ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PARALLEL = 8
_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


class BlobStore:
    """Content-addressed blobs of an object store, at ``blobs/ab/abcdef…``."""

    def __init__(self, store: ObjectStore | str) -> None:
        self.store = ObjectStore(store) if isinstance(store, str) else store

    @staticmethod
    def key(sha256: str) -> str:
        """Where a blob lies in the store."""
        return f"blobs/{sha256[:2]}/{sha256}"

    def put_blob(self, data: bytes) -> str:
        """Store a blob and return its SHA-256 in hex; storing it again mends a corrupt one.

        Raises:
            OutputError, StoreUnavailableError: as ``ObjectStore.put``.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        self.store.put(self.key(sha256), data)
        return sha256

    def get_blob(self, sha256: str) -> bytes | None:
        """The blob, its hash verified; None if it is missing or corrupt.

        A corrupt one is deleted.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        try:
            data = self.store.get(self.key(sha256))
        except SourceError:
            return None
        if hashlib.sha256(data).hexdigest() != sha256:
            self.store.delete(self.key(sha256))
            return None
        return data

    def put_blobs(self, blobs: Iterable[bytes]) -> list[str]:
        """Store several blobs, at once where each is a network request."""
        return self._map(self.put_blob, blobs)

    def get_blobs(self, sha256s: Iterable[str]) -> list[bytes | None]:
        """Read several blobs, at once where each is a network request."""
        return self._map(self.get_blob, sha256s)

    def delete_blobs(self, sha256s: Iterable[str]) -> None:
        """Remove blobs; those that are gone already are no error."""
        self.store.delete(*(self.key(sha256) for sha256 in sha256s))

    def _map(self, act: Callable[[_Given], _Made], given: Iterable[_Given]) -> list[_Made]:
        items = list(given)
        if len(items) <= 1 or not self.store.remote:
            return [act(item) for item in items]
        with ThreadPoolExecutor(max_workers=min(_PARALLEL, len(items))) as pool:
            return list(pool.map(act, items))
