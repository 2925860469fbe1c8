"""A small disk of our own, so that a full one is a real one."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_MIB = 1 << 20


class SmallDisk:
    """A tmpfs; ``mounted`` is False where the system does not let us mount one."""

    def __init__(self, folder: Path, mebibytes: int) -> None:
        self.folder = folder
        self._mebibytes = mebibytes
        self._filler = folder / "filler"
        self.mounted = False

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._mebibytes}m", "tmpfs", self.folder]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except OSError:
            return self
        self.mounted = done.returncode == 0
        return self

    def __exit__(self, *_: object) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", self.folder], check=True)

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("wb", buffering=0) as file:
            for size in (_MIB, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)
