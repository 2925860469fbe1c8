"""What a job may read: regular files inside its root, S3 objects and the web, up to a size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pixfleet.config.urls import shown, split_web
from pixfleet.workers.errors import SourceError

from .objects import ObjectStore, local_path, split_s3
from .places import holds
from .regular import read_regular
from .web import fetch_web

if TYPE_CHECKING:
    from collections.abc import Callable

    from pixfleet.config.access import SourceSettings


def open_source(
    url: str,
    *,
    root: str | None,
    max_bytes: int,
    rules: SourceSettings,
    on_request: Callable[[str], None] | None = None,
) -> bytes:
    """The bytes of a job's source: a path, ``file://``, ``s3://bucket/key`` or ``https://``.

    ``root`` is the folder (or ``s3://`` or ``https://`` prefix) that the source, its symbolic links
    resolved, must not leave. ``rules`` are what the worker opens to jobs. ``on_request`` hears of
    every billed request.

    Raises:
        SourceError: ``source_not_found``, ``source_unreadable`` (permission, a folder, a pipe, a
            device), ``source_outside_root``, ``source_not_allowed``, ``source_empty``,
            ``source_scheme_unsupported``; from the web also ``source_untrusted``.
        AddressError: a URL or an address that it leads to is not open.
        LimitError: ``file_too_large``.
        StoreUnavailableError: disk, bucket or server did not answer.
    """
    path = local_path(url)
    if path is not None:
        data = _open_file(path, root, max_bytes, rules)
    elif url.startswith("s3://"):
        data = _open_s3(url, root, max_bytes, rules, on_request)
    elif split_web(url):
        if root is not None and not url.startswith(root.rstrip("/") + "/"):
            raise _outside(shown(url), root)
        data = fetch_web(url, rules, max_bytes=max_bytes)
    else:
        raise SourceError(
            "source_scheme_unsupported",
            f"{shown(url)}: sources are paths, file://, s3:// and https:// URLs",
            "name the image by one of these, or download it to a folder or a bucket first",
        )
    if not data:
        raise SourceError("source_empty", f"{shown(url)} has no bytes", "upload it again")
    return data


def _open_file(path: str, root: str | None, max_bytes: int, rules: SourceSettings) -> bytes:
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
    if not holds(rules.local, real):
        raise _not_allowed(path, "PIXFLEET_SOURCES_LOCAL")
    return read_regular(real, max_bytes=max_bytes)


def _open_s3(
    url: str,
    root: str | None,
    max_bytes: int,
    rules: SourceSettings,
    on_request: Callable[[str], None] | None,
) -> bytes:
    bucket, key = split_s3(url)
    if not (bucket and key):
        raise SourceError(
            "source_not_found", f"{url} names no object", "write s3://bucket/key of one image"
        )
    if root is not None and not url.startswith(root.rstrip("/") + "/"):
        raise _outside(url, root)
    if not holds(rules.buckets, url):
        raise _not_allowed(url, "PIXFLEET_SOURCES_BUCKETS")
    return ObjectStore(f"s3://{bucket}", on_request).get(key, max_bytes=max_bytes)


def _outside(source: str, root: str) -> SourceError:
    return SourceError(
        "source_outside_root",
        f"{source} leads out of {root}",
        "copy the file below the root, or submit it with a root that holds it",
    )


def _not_allowed(source: str, setting: str) -> SourceError:
    return SourceError(
        "source_not_allowed",
        f"{source} is not open to jobs of this fleet",
        f"use a place that {setting} names on the workers, or add this one",
    )
