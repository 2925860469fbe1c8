"""sharp, run for real in node: ``npm install --prefix bench/peers sharp``."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .peer import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sets.masters import Master

SCRIPT: Final = Path(__file__).parent / "sharp_encode.mjs"


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


def version(folder: Path) -> str:
    """Sharp's version in that folder; stops the program where there is none."""
    package = folder / "node_modules" / "sharp" / "package.json"
    if not package.exists():
        raise SystemExit(f"no sharp in {folder}: npm install --prefix {folder} sharp")
    return json.loads(package.read_text(encoding="utf-8"))["version"]


def _run(folder: Path, inputs: Path, outputs: Path, name: str, options: str) -> dict[str, Any]:
    node = shutil.which("node")
    if node is None:
        raise SystemExit("node is not on the PATH: leave out --sharp-dir, or install Node.js")
    run = subprocess.run(
        [node, SCRIPT, folder, inputs, outputs, name, options],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)
