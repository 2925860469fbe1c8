"""Objects by key, in a local folder or an S3 bucket; every write is whole or not there at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Protocol
from urllib.parse import unquote, urlsplit

from pixfleet.workers.errors import OutputError, SourceError

from .local import LocalFiles
from .s3 import S3Objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Backend(Protocol):
    """What a kind of store can do; keys are checked before they come here."""

    bills: ClassVar[bool]
    """does a request cost money"""

    def where(self, key: str) -> str: ...  # noqa: D102 (see the class)
    def get(self, key: str, max_bytes: int | None) -> bytes: ...  # noqa: D102 (see the class)
    def put(self, key: str, data: bytes) -> None: ...  # noqa: D102 (see the class)
    def size(self, key: str) -> int | None: ...  # noqa: D102 (see the class)
    def delete(self, keys: Iterable[str]) -> None: ...  # noqa: D102 (see the class)
    def pages(self, prefix: str) -> Iterator[list[tuple[str, int]]]: ...  # noqa: D102 (see the class)
    def copy(self, key: str, other_key: str) -> None: ...  # noqa: D102 (see the class)
    def delete_parts(self, older_than_s: float) -> int: ...  # noqa: D102 (see the class)


class ObjectStore:
    """Objects below ``url``: ``/abs/folder``, ``file:///…`` or ``s3://bucket/prefix``.

    ``on_request`` is called with ``s3_get``, ``s3_put``, ``s3_list`` or ``s3_head`` for every
    request that is billed; local files bill nothing. It may be set anew for each job.

    Region, endpoint and credentials of S3 come from where AWS tools look (``AWS_REGION``,
    ``AWS_ENDPOINT_URL``, keys, profile, role). A store may be built before a fork; S3 must not be
    used before it.
    """

    def __init__(self, url: str, on_request: Callable[[str], None] | None = None) -> None:
        self.url = url
        self.on_request = on_request
        self._backend = _backend(url)

    @property
    def remote(self) -> bool:
        """Is every access a network request."""
        return self._backend.bills

    def where(self, key: str) -> str:
        """Path or URL of an object, for messages."""
        return self._backend.where(key)

    def get(self, key: str, *, max_bytes: int | None = None) -> bytes:
        """The object's bytes.

        Raises:
            SourceError: ``source_not_found``, ``source_unreadable`` or ``source_outside_root``.
            LimitError: ``file_too_large``: more than ``max_bytes``; nothing was read.
            StoreUnavailableError: the store did not answer.
        """
        if not is_inside(key):
            raise SourceError(
                "source_outside_root",
                f"{key!r} does not stay below {self.url}",
                "use a relative key without '..'",
            )
        self._bill("s3_get")
        return self._backend.get(key, max_bytes)

    def put(self, key: str, data: bytes) -> None:
        """Write the whole object or nothing; replaces an existing one in one step.

        Raises:
            OutputError: ``output_disk_full``, ``output_forbidden``, ``output_outside_root`` or
                ``output_unwritable``.
            StoreUnavailableError: the store did not answer.
        """
        self._check(key)
        self._bill("s3_put")
        self._backend.put(key, data)

    def size(self, key: str) -> int | None:
        """Size in bytes; None where there is no such object."""
        self._check(key)
        self._bill("s3_head")
        return self._backend.size(key)

    def exists(self, key: str) -> bool:
        """Is there such an object."""
        return self.size(key) is not None

    def delete(self, *keys: str) -> None:
        """Remove objects; those that are gone already are no error."""
        for key in keys:
            self._check(key)
        self._backend.delete(keys)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """(key, size in bytes) of every object below a folder or prefix."""
        if prefix := prefix.strip("/"):
            self._check(prefix)
        for page in self._backend.pages(prefix):
            self._bill("s3_list")
            yield from page

    def copy(self, key: str, other_key: str) -> None:
        """Copy an object inside the store; the copy shares nothing with the original."""
        self._check(key)
        self._check(other_key)
        self._bill("s3_put")
        self._backend.copy(key, other_key)

    def delete_parts(self, older_than_s: float) -> int:
        """Remove what killed processes left half written; how many files that were.

        A file that was touched in the last ``older_than_s`` may still be written, and stays.
        """
        return self._backend.delete_parts(older_than_s)

    def _check(self, key: str) -> None:
        if not is_inside(key):
            raise OutputError(
                "output_outside_root",
                f"{key!r} does not stay below {self.url}",
                "use a relative name without '..'",
            )

    def _bill(self, kind: str) -> None:
        if self.on_request is not None and self._backend.bills:
            self.on_request(kind)


def is_inside(key: str) -> bool:
    """Is the key a plain relative path: no empty, ``.`` or ``..`` segment, no NUL."""
    return "\0" not in key and not any(part in ("", ".", "..") for part in key.split("/"))


def local_path(url: str) -> str | None:
    """The absolute path that a local URL or path names; None for another scheme.

    Raises:
        SourceError: ``source_unreadable``: a ``file://`` URL of another host.
    """
    if url.startswith("file://"):
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise SourceError(
                "source_unreadable",
                f"{url} names a file on {parts.netloc}",
                "write file:///path with three slashes, or a plain path",
            )
        return unquote(parts.path)
    if "://" in url:
        return None
    return os.path.abspath(url)  # noqa: PTH100 (a path given as text stays text)


def split_s3(url: str) -> tuple[str, str]:
    """Bucket and key or prefix of an ``s3://`` URL."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def _backend(url: str) -> Backend:
    if url.startswith("s3://"):
        bucket, prefix = split_s3(url)
        if bucket:
            return S3Objects(bucket, prefix.strip("/"))
    elif url and (path := local_path(url)) is not None:
        return LocalFiles(path)
    raise OutputError(
        "output_scheme_unsupported",
        f"{url!r} is neither a folder nor s3://bucket/prefix",
        "use a folder, file:///folder or s3://bucket/prefix",
    )
