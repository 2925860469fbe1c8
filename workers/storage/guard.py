"""What a job may read: regular files inside its root and S3 objects, up to a size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pixfleet.workers.errors import SourceError

from .objects import ObjectStore, local_path, split_s3
from .regular import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable


def open_source(
    url: str,
    *,
    root: str | None,
    max_bytes: int,
    on_request: Callable[[str], None] | None = None,
) -> bytes:
    """The bytes of a job's source: a path, ``file://`` or ``s3://bucket/key``.

    ``root`` is the folder (or ``s3://`` prefix) that the source, its symbolic links resolved, must
    not leave. ``on_request`` hears of every billed request.

    Raises:
        SourceError: ``source_not_found``, ``source_unreadable`` (permission, a folder, a pipe, a
            device), ``source_outside_root``, ``source_empty`` or ``source_scheme_unsupported``.
        LimitError: ``file_too_large``; nothing was read.
        StoreUnavailableError: disk or bucket did not answer.
    """
    path = local_path(url)
    if path is not None:
        data = _open_file(path, root, max_bytes)
    elif url.startswith("s3://"):
        data = _open_s3(url, root, max_bytes, on_request)
    else:
        raise SourceError(
            "source_scheme_unsupported",
            f"{url}: sources are paths, file:// and s3:// URLs",
            "download the image to a folder or a bucket first; workers fetch nothing from the web",
        )
    if not data:
        raise SourceError("source_empty", f"{url} has no bytes", "upload it again")
    return data


def _open_file(path: str, root: str | None, max_bytes: int) -> bytes:
    if "\0" in path:
        raise SourceError(
            "source_not_found", f"{path!r} is no file name", "remove the NUL character"
        )
    real = os.path.realpath(path)
    if root is not None:
        folder = local_path(root)
        top = os.path.realpath(folder) if folder is not None else None
        if top is None or os.path.commonpath((top, real)) != top:
            raise _outside(path, root)
    return read_regular(real, max_bytes=max_bytes)


def _open_s3(
    url: str, root: str | None, max_bytes: int, on_request: Callable[[str], None] | None
) -> bytes:
    bucket, key = split_s3(url)
    if not (bucket and key):
        raise SourceError(
            "source_not_found", f"{url} names no object", "write s3://bucket/key of one image"
        )
    if root is not None and not url.startswith(root.rstrip("/") + "/"):
        raise _outside(url, root)
    return ObjectStore(f"s3://{bucket}", on_request).get(key, max_bytes=max_bytes)


def _outside(source: str, root: str) -> SourceError:
    return SourceError(
        "source_outside_root",
        f"{source} leads out of {root}",
        "copy the file below the root, or submit it with a root that holds it",
    )
