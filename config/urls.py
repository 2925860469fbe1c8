"""URLs of the web as they may be shown, and the file name that one gives."""

from __future__ import annotations

import hashlib
import re
from typing import Final
from urllib.parse import unquote_to_bytes

_URL: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE | re.DOTALL
)
_WEB: Final = ("https", "http")
_OWN: Final = ("file", "s3")
"""Where ``?`` and ``#`` are characters like any other."""
_LONGEST_NAME_BYTES: Final = 150
"""Below the 255 of file systems, with room for what is put beside it."""
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)", re.IGNORECASE)
"""Devices of Windows, where a file cannot have such a name."""
_UNFIT: Final = re.compile(r'[\x00-\x1f\x7f-\x9f/\\<>:"|?*\u202a-\u202e\u2066-\u2069\ud800-\udfff]')


def split_web(url: str) -> tuple[str, str, str, str] | None:
    """Scheme, authority, path and query of an ``http(s)://`` URL; None for anything else."""
    parts = _split(url)
    return parts if parts and parts[0] in _WEB else None


def shown(url: str) -> str:
    """The URL as logs, manifests and reports may hold it: no user, no password, no query.

    Queries hold signatures and tokens. In its place stands ``?sha256=`` and 12 hex digits of the
    query's SHA-256, so that who knows the URL can find its job. Paths, ``file://`` and ``s3://``
    stay as they are.
    """
    parts = _split(url)
    if parts is None or parts[0] in _OWN:
        return url
    scheme, authority, path, query = parts
    digest = hashlib.sha256(query.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{scheme}://{authority.rpartition('@')[2]}{path}" + (
        f"?sha256={digest}" if query else ""
    )


def file_name(url: str) -> str | None:
    """A safe name from the end of an ``http(s)://`` URL's path; None for other URLs.

    Percent-decoded once. What leads elsewhere or cannot be a file's name anywhere becomes ``_``;
    the query does not count.
    """
    parts = split_web(url)
    if parts is None:
        return None
    last = parts[2].rstrip("/").rpartition("/")[2]
    raw = unquote_to_bytes(last.encode("utf-8", "surrogatepass"))
    name = _UNFIT.sub("_", raw.decode("utf-8", "replace")).strip(" ").rstrip(". ")
    if name.startswith("."):
        name = f"_{name[1:]}"
    if _RESERVED.match(name):
        name = f"_{name}"
    return _shortened(name) or "image"


def _split(url: str) -> tuple[str, str, str, str] | None:
    found = _URL.fullmatch(url)
    if found is None:
        return None
    scheme, authority, path, query = found.groups()
    return scheme.lower(), authority, path, query or ""


def _shortened(name: str) -> str:
    """At most 150 bytes of UTF-8; the suffix stays."""
    if len(name.encode()) <= _LONGEST_NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    ending = f"{dot}{suffix}" if stem and len(suffix) <= len("jpeg2000") else ""
    room = _LONGEST_NAME_BYTES - len(ending.encode())
    return name.encode()[:room].decode("utf-8", "ignore").rstrip(". ") + ending
