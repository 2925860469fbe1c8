"""A folder for the temporary files of a worker's children, so that none outlives a killed one.

Libraries make such files too (jpeglib does, under names of its own), so the folder takes the place
of the system's. A child that starts removes those of children that are gone, a worker that starts
those of workers that are gone; what they were is told from their process ids.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Final

_PREFIX: Final = f"pixfleet-scratch-{socket.gethostname()}-"


def open_scratch() -> Path:
    """The folder of this worker; in its main process."""
    top = Path(tempfile.gettempdir())
    for other in top.glob(f"{_PREFIX}*"):
        _remove_if_gone(other, other.name.removeprefix(_PREFIX))
    folder = top / f"{_PREFIX}{os.getpid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def enter_scratch(folder: Path) -> None:
    """From here on this process's temporary files are below the worker's ``folder``; in a child."""
    for other in folder.iterdir():
        _remove_if_gone(other, other.name)
    own = folder / str(os.getpid())
    own.mkdir(mode=0o700)
    os.environ["TMPDIR"] = str(own)
    tempfile.tempdir = str(own)


def close_scratch(folder: Path) -> None:
    """Remove it; its children are gone."""
    shutil.rmtree(folder, ignore_errors=True)


def _remove_if_gone(folder: Path, pid: str) -> None:
    if pid.isdigit() and (int(pid) == os.getpid() or not _lives(int(pid))):
        shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
