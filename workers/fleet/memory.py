"""How much memory a worker's child may take, so that a runaway decoder ends alone.

The kernel counts a child's private writable memory (``RLIMIT_DATA``; Linux, where ``mmap`` counts
since 4.7) and refuses what goes beyond: the allocation fails in that child, where without a limit
the machine's out-of-memory killer picks any of its neighbours.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pixfleet.config.worker_settings import WorkerSettings

BASE_BYTES: Final = 450_000_000
"""What a child has mapped before its first job: interpreter, libraries, their threads' buffers."""
_LEAST_BYTES: Final = 1_000_000_000
"""Less would end ordinary work; where there is not that much for each, the machine shares it."""
FOR_CHILDREN: Final = 0.9
"""Share of the memory; the rest is for the worker's main process and its neighbours."""
_CGROUPS: Final = Path("/sys/fs/cgroup")


def child_budget(worker: WorkerSettings, children: int) -> int:
    """Bytes that each of ``children`` may map: the setting, or its share of what there is."""
    if worker.child_memory_bytes:
        return worker.child_memory_bytes
    return max(_LEAST_BYTES, int(machine_bytes() * FOR_CHILDREN / children))


def confine(budget: int) -> None:
    """Hold this process, and what it starts, to ``budget`` bytes."""
    resource.setrlimit(resource.RLIMIT_DATA, (budget, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def own_budget() -> int | None:
    """What this process is held to, beyond what it began with; None: to nothing."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return None if limit == resource.RLIM_INFINITY else max(0, limit - BASE_BYTES)


def machine_bytes() -> int:
    """Physical memory, or less where a cgroup (a container) limits it."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *_cgroup_limits(Path("/proc/self/cgroup"), _CGROUPS)])


def _cgroup_limits(memberships: Path, mounted: Path) -> list[int]:
    """Limits of this process's groups and of those around them, cgroup v2 and v1."""
    try:
        lines = memberships.read_text(encoding="ascii").splitlines()
    except OSError:  # no Linux
        return []
    found: list[int] = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            top, name = mounted, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        own = top / group.lstrip("/")
        # Inside a container the path may be the host's; then the mount's top is the group itself.
        for folder in [own, *own.parents]:
            if folder.is_relative_to(top):
                found += _number_in(folder / name)
    return found


def _number_in(file: Path) -> list[int]:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return []
    return [int(text)] if text.isdigit() else []
