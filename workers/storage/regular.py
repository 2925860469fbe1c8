"""Reading one regular file, and nothing that only looks like one."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from pixfleet.workers.errors import LimitError, SourceError, StoreUnavailableError, WorkError

from .unlinked import open_file

_KINDS: Final = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link that leads nowhere",
}
_PASSING: Final = {
    errno.EIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ETIMEDOUT,
}


def read_regular(path: str, *, max_bytes: int | None) -> bytes:
    """The bytes of a regular file; its size is checked before anything is read.

    ``path`` is absolute and free of symbolic links (``os.path.realpath``); what became a link since
    is not followed.

    Raises:
        SourceError: ``source_not_found``, ``source_unreadable`` (forbidden, or not a regular file).
        LimitError: ``file_too_large``.
        StoreUnavailableError: the disk or the mount did not answer.
    """
    try:
        # Looked at before it is opened: opening a device can already do something.
        _refuse_irregular(path, os.lstat(path).st_mode)
        file = open_file(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(file)
            _refuse_irregular(path, found.st_mode)
            if max_bytes is not None:
                check_size(path, found.st_size, max_bytes)
            with os.fdopen(file, "rb", buffering=0, closefd=False) as source:
                data = source.readall()
        finally:
            os.close(file)
    except OSError as error:
        raise _source_error(error, path) from error
    if max_bytes is not None:  # it may have grown meanwhile
        check_size(path, len(data), max_bytes)
    return data


def check_size(where: str, size: int, max_bytes: int) -> None:
    """Refuse what is larger than the limit on a source.

    Raises:
        LimitError: ``file_too_large``.
    """
    if size > max_bytes:
        raise LimitError(
            "file_too_large",
            f"{where} has {size:,} bytes; the limit is {max_bytes:,}",
            "send a smaller file, or raise PIXFLEET_LIMITS_MAX_FILE_BYTES",
        )


def _refuse_irregular(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise SourceError(
            "source_unreadable",
            f"{path} is {_KINDS.get(stat.S_IFMT(mode), 'no regular file')}, not an image file",
            "name a file; a folder is given to pixfleet run or submit, which make a job a file",
        )


def _source_error(error: OSError, path: str) -> WorkError:
    reason = (error.strerror or str(error)).lower()
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return SourceError(
            "source_not_found",
            f"{path} does not exist",
            "check the path as the worker sees it: it may run on another machine",
        )
    if error.errno in _PASSING:
        return StoreUnavailableError(
            "store_unavailable",
            f"{path} is not reachable now: {reason}",
            "see to the disk or the network mount; the job is tried again",
        )
    return SourceError(
        "source_unreadable",
        f"{path} cannot be read: {reason}",
        "let the worker's user read the file and every folder above it",
    )
