"""sharp, run for real in node: ``npm install --prefix bench/peers sharp``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .peer import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sets.masters import Master

SHARP_DIR: Final = Path(__file__).parent
SCRIPT: Final = SHARP_DIR / "sharp_encode.mjs"


@dataclass(frozen=True, slots=True)
class Sharp:
    """One format of sharp, by one thread.

    Attributes:
        options: of sharp, beside the quality.
        folder: where node_modules holds sharp.
    """

    name: str
    format: str
    quality: int
    options: dict[str, Any]
    folder: Path

    def encode(self, masters: Sequence[Master], quality: int) -> Batch:
        """As in ``peer.Peer``."""
        with tempfile.TemporaryDirectory() as scratch:
            inputs, outputs = Path(scratch) / "in", Path(scratch) / "out"
            inputs.mkdir()
            outputs.mkdir()
            for number, master in enumerate(masters):
                pixels = master.flat if self.format == "jpeg" else master.pixels
                height, width, channels = pixels.shape
                file = inputs / f"{number:04}-{width}x{height}x{channels}.raw"
                file.write_bytes(pixels.tobytes())
            options = json.dumps({"quality": quality, **self.options})
            facts = _run(self.folder, inputs, outputs, self.format, options)
            files = [path.read_bytes() for path in sorted(outputs.iterdir())]
        return Batch(tuple(files), tuple(facts["cpu_s"]))


def version(folder: Path) -> str | None:
    """The version in that folder; None, and a line that says so, where it cannot run."""
    package = folder / "node_modules" / "sharp" / "package.json"
    if shutil.which("node") and package.exists():
        return json.loads(package.read_text(encoding="utf-8"))["version"]
    print(f"sharp is left out: npm install --prefix {folder} sharp", file=sys.stderr)
    return None


def _run(folder: Path, inputs: Path, outputs: Path, name: str, options: str) -> dict[str, Any]:
    run = subprocess.run(
        ["node", SCRIPT, folder, inputs, outputs, name, options],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)
