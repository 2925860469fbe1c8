"""Opening a path that was resolved, and nothing that took its place since.

A path without symbolic links is walked folder by folder, none of which may be a link now: who can
write into a folder on the way cannot swap a link in between the check and the opening.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

_O_PATH: Final = getattr(os, "O_PATH", 0)
"""Asks for no permission to read a folder on the way; only Linux has it."""
_FOLDER: Final = _O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_file(real: str, flags: int) -> int:
    """A descriptor of the file at ``real``, an absolute path that ``os.path.realpath`` gave.

    Raises:
        OSError: as ``os.open``; ENOTDIR or ELOOP where a link is met.
    """
    parent, _, name = real.rpartition("/")
    if not _O_PATH:
        return os.open(real, flags | os.O_NOFOLLOW)
    folder = open_folder(parent)
    try:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)


def open_folder(real: str, *, make: bool = False) -> int:
    """A descriptor of the folder at ``real``, for use as ``dir_fd``; made where it is missing.

    Raises:
        OSError: as ``os.open`` and ``os.mkdir``; ENOTDIR or ELOOP where a link is met.
    """
    if not _O_PATH:
        if make:
            os.makedirs(real, exist_ok=True)  # noqa: PTH103 (a path given as text stays text)
        return os.open(real, os.O_RDONLY | _FOLDER)
    here = os.open("/", _FOLDER)
    for name in real.split("/"):
        if not name:
            continue
        try:
            below = _step(here, name, make=make)
        finally:
            os.close(here)
        here = below
    return here


def _step(folder: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):  # another process was faster
        os.mkdir(name, dir_fd=folder)
    return os.open(name, _FOLDER, dir_fd=folder)
