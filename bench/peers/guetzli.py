"""guetzli's own program; half a minute a megapixel, so for a few small pictures only."""

from __future__ import annotations

import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from .peer import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sets.masters import Master


@dataclass(frozen=True, slots=True)
class Guetzli:
    """JPEG at the program's default; it takes no quality below 84."""

    name: str = "guetzli"
    quality: int = 95
    format: str = "jpeg"

    def encode(self, masters: Sequence[Master], quality: int) -> Batch:
        """As in ``peer.Peer``."""
        program = shutil.which("guetzli")
        if program is None:
            raise SystemExit("guetzli is not on the PATH: leave out --guetzli, or install it")
        files: list[bytes] = []
        cpu_s: list[float] = []
        with tempfile.TemporaryDirectory() as scratch:
            source, target = Path(scratch) / "in.png", Path(scratch) / "out.jpg"
            for master in masters:
                Image.fromarray(master.flat).save(source, compress_level=1)
                before_s = _children_cpu_s()
                subprocess.run(
                    [program, "--quality", str(quality), source, target],
                    check=True,
                    capture_output=True,
                )
                cpu_s.append(_children_cpu_s() - before_s)
                files.append(target.read_bytes())
        return Batch(tuple(files), tuple(cpu_s))


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
