"""Objects as files below one folder: whole writes, and no way out of the folder.

Local files do not go through obstore: its runtime hangs in a forked child once the parent used it,
and a process killed while writing leaves its ``name#1`` among the results. Here a file without a
name (``O_TMPFILE``) is filled first and then linked, so whatever kills the process leaves nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import secrets
import time
from typing import TYPE_CHECKING, ClassVar, Final

from pixfleet.workers.errors import (
    OutputError,
    SourceError,
    StoreUnavailableError,
    WorkError,
)

from .regular import read_regular
from .unlinked import open_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PART_SUFFIX: Final = ".part"
_PART: Final = re.compile(rf"\.[0-9a-f]{{16}}{re.escape(PART_SUFFIX)}")
_FOLDER_TRIES: Final = 20
_PRUNED: Final = {errno.ENOENT, errno.EEXIST, errno.EPERM}
"""What a write can meet when another process just removed its folder because it was empty."""
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN: Final = {errno.EACCES, errno.EPERM, errno.EROFS}
_PASSING: Final = {
    errno.EIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EAGAIN,
    errno.ETIMEDOUT,
}
_NO_TMPFILE: Final = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}


class LocalFiles:
    """Files below ``root``; keys are relative paths with ``/`` that were already checked."""

    bills: ClassVar[bool] = False

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)

    def where(self, key: str) -> str:
        """What a message calls the object."""
        return os.path.join(self._root, key)  # noqa: PTH118 (a key is text, not a path of ours)

    def get(self, key: str, max_bytes: int | None) -> bytes:
        """The file's bytes; symbolic links are followed only inside the folder."""
        real = os.path.realpath(self.where(key))
        if not self._inside(real):
            raise SourceError(
                "source_outside_root",
                f"{self.where(key)} leads out of {self._root}",
                "replace the symbolic link by the file",
            )
        return read_regular(real, max_bytes=max_bytes)

    def put(self, key: str, data: bytes) -> None:
        """Write the whole file or nothing; an existing one is replaced in one step."""
        folder = self._folder(key)
        for attempt in range(_FOLDER_TRIES):
            try:
                return _put(folder, key.rpartition("/")[2], data)
            except OSError as error:
                if error.errno not in _PRUNED or attempt == _FOLDER_TRIES - 1:
                    raise _output_error(error, self.where(key)) from error
                # In step with those who remove the folder, every try would meet one of them.
                time.sleep(random.uniform(0, 0.001 * attempt))  # noqa: S311 (jitter)
        return None

    def size(self, key: str) -> int | None:
        """Size in bytes; None where there is no such file."""
        self._folder(key)
        try:
            found = os.stat(self.where(key))  # noqa: PTH116 (text, as above)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _output_error(error, self.where(key)) from error
        return found.st_size

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files; those that are gone already are no error."""
        for key in keys:
            folder = self._folder(key)
            try:
                _unlink(folder, key.rpartition("/")[2])
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise _output_error(error, self.where(key)) from error
            self._prune(key)

    def pages(self, prefix: str) -> Iterator[list[tuple[str, int]]]:
        """(key, size in bytes) of every file below a folder, a list per folder."""
        start = self.where(prefix) if prefix else self._root
        for folder, folders, names in os.walk(start):
            folders.sort()
            page: list[tuple[str, int]] = []
            for name in sorted(names):
                if _is_part(name):
                    continue
                path = os.path.join(folder, name)  # noqa: PTH118 (text, as above)
                with contextlib.suppress(OSError):  # gone since it was listed
                    page.append((os.path.relpath(path, self._root), os.stat(path).st_size))  # noqa: PTH116 (text, as above)
            yield page

    def copy(self, key: str, other_key: str) -> None:
        """Copy a file; never a hard link, so that editing one leaves the other alone."""
        self.put(other_key, self.get(key, None))

    def delete_parts(self, older_than_s: float) -> int:
        """Remove part files of processes that were killed before they renamed them."""
        removed = 0
        for folder, _, names in os.walk(self._root):
            for name in filter(_is_part, names):
                path = os.path.join(folder, name)  # noqa: PTH118 (text, as above)
                with contextlib.suppress(OSError):  # renamed or removed meanwhile, or not ours
                    if time.time() - os.stat(path).st_mtime >= older_than_s:  # noqa: PTH116 (text)
                        os.unlink(path)  # noqa: PTH108 (text, as above)
                        removed += 1
        return removed

    def _prune(self, key: str) -> None:
        """Remove folders that became empty: in a bucket there would be none either."""
        while "/" in key:
            key = key.rpartition("/")[0]
            try:
                os.rmdir(self.where(key))  # noqa: PTH106 (text, as above)
            except OSError:
                return

    def _folder(self, key: str) -> str:
        """The folder of a file, links resolved, if it lies inside."""
        folder = os.path.realpath(os.path.dirname(self.where(key)))  # noqa: PTH120 (text, as above)
        if not self._inside(folder):
            raise OutputError(
                "output_outside_root",
                f"{self.where(key)} leads out of {self._root} through a symbolic link",
                "remove the link, or name the folder it leads to as the output",
            )
        return folder

    def _inside(self, real: str) -> bool:
        return real == self._root or real.startswith(self._root.rstrip("/") + "/")


def _put(folder: str, name: str, data: bytes) -> None:
    directory = open_folder(folder, make=True)
    try:
        _write(directory, name, data)
    finally:
        os.close(directory)


def _unlink(folder: str, name: str) -> None:
    directory = open_folder(folder)
    try:
        os.unlink(name, dir_fd=directory)
    finally:
        os.close(directory)


def _write(directory: int, name: str, data: bytes) -> None:
    try:
        unnamed = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=directory)
    except AttributeError:
        return _write_named(directory, name, data)
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise
        return _write_named(directory, name, data)
    try:
        _fill(unnamed, data)
        try:
            _link(unnamed, directory, name)
        except FileExistsError:
            part = _part_name()
            _link(unnamed, directory, part)
            _replace(directory, part, name)
        except FileNotFoundError:  # no /proc to link from
            _write_named(directory, name, data)
    finally:
        os.close(unnamed)
    return None


def _write_named(directory: int, name: str, data: bytes) -> None:
    """For file systems without ``O_TMPFILE``: a hidden part file, renamed when whole."""
    part = _part_name()
    file = os.open(
        part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=directory
    )
    try:
        try:
            _fill(file, data)
        finally:
            os.close(file)
    except BaseException:
        os.unlink(part, dir_fd=directory)
        raise
    _replace(directory, part, name)


def _is_part(name: str) -> bool:
    return _PART.fullmatch(name) is not None


def _part_name() -> str:
    return f".{secrets.token_hex(8)}{PART_SUFFIX}"


def _fill(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _link(unnamed: int, directory: int, name: str) -> None:
    # dst_dir_fd makes Python call linkat(2); plain link(2) would link the symbolic link in /proc.
    os.link(f"/proc/self/fd/{unnamed}", name, dst_dir_fd=directory, follow_symlinks=True)


def _replace(directory: int, part: str, name: str) -> None:
    try:
        os.replace(part, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(part, dir_fd=directory)
        raise


def _output_error(error: OSError, where: str) -> WorkError:
    reason = (error.strerror or str(error)).lower()
    if error.errno in _FULL:
        return OutputError(
            "output_disk_full",
            f"{where} could not be written: {reason}",
            "free space, or choose an output on another disk, and run again",
        )
    if error.errno in _FORBIDDEN:
        return OutputError(
            "output_forbidden",
            f"{where} could not be written: {reason}",
            "let the worker's user write there, or choose another output",
        )
    if error.errno in _PASSING:
        return StoreUnavailableError(
            "store_unavailable",
            f"{where} is not reachable now: {reason}",
            "see to the disk or the network mount; the job is tried again",
        )
    return OutputError(
        "output_unwritable",
        f"{where} could not be written: {reason}",
        "choose another output or name",
    )
