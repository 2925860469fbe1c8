"""The most memory that this process has held: of one step of a job, where the system allows it."""

from __future__ import annotations

import contextlib
import resource
import sys
from typing import Final

_FORGET: Final = b"5"
"""What makes Linux forget a process's high-water mark (proc(5), clear_refs; since 4.0)."""


def forget_peak() -> None:
    """Count from what is held now; elsewhere than on Linux the process's whole life counts."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "wb") as file:  # noqa: PTH123 (a tenth of pathlib's time)
        file.write(_FORGET)


def peak_bytes() -> int:
    """Resident bytes at the most; memory shared with the parent process is in it."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == "darwin" else 1024)
