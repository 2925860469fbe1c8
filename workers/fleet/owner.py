"""Who holds a job or a lock: a process, named by its machine and id."""

from __future__ import annotations

import functools
import os
import socket
from typing import Final

_FIRST_NAMESPACE: Final = "pid:[4026531836]"


@functools.cache
def _machine() -> str:
    """Where process ids mean what they mean here: the host, or a container on it.

    Containers in the host's network all have its name, and each counts processes by itself.
    """
    host = socket.gethostname()
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (it leads to no path)
    except OSError:  # no Linux
        return host
    return host if namespace == _FIRST_NAMESPACE else f"{host}/{namespace.strip('pid:[]')}"


def owner_name(pid: int | None = None) -> str:
    """A process of this machine, this one if none is named, as ledger and locks know it."""
    return f"{_machine()}:{os.getpid() if pid is None else pid}"


def is_dead(owner: str) -> bool:
    """Is the owner a process of this machine that is gone? Elsewhere only a lease can tell."""
    machine, _, pid = owner.rpartition(":")
    if machine != _machine() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
