"""butteraugli's own program as a judge, asked once about each pair of pictures."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

ANSWERS: Final = Path(__file__).parents[1] / ".cache" / "butteraugli.tsv"


class Butteraugli:
    """The distance by the program of Alakuijala and others (Google, 2016; Debian's package).

    It is the largest difference anywhere in the picture: below 1 unnoticeable, above 2 visible.
    A second for a megapixel is dear, so answers are kept in a file, by the pixels' hash.

    Args:
        answers: the file; made when the first answer is written.

    Raises:
        FileNotFoundError: the program is not on the PATH.
    """

    def __init__(self, answers: Path = ANSWERS) -> None:
        program = shutil.which("butteraugli")
        if program is None:
            raise FileNotFoundError("butteraugli is not on the PATH; Debian has a package of it")
        self._program = program
        self._answers = answers

    @cached_property
    def _known(self) -> dict[str, float]:
        if not self._answers.exists():
            return {}
        lines = self._answers.read_text(encoding="ascii").splitlines()
        return {key: float(value) for key, value in (line.split("\t") for line in lines)}

    def distance(self, original: Pixels, coded: Pixels) -> float:
        """Of two (H, W, 3) uint8 sRGB pictures; 0 for identical ones."""
        key = _key(original, coded)
        if key not in self._known:
            self._known[key] = self._asked(original, coded)
            self._answers.parent.mkdir(parents=True, exist_ok=True)
            with self._answers.open("a", encoding="ascii") as file:
                file.write(f"{key}\t{self._known[key]}\n")
        return self._known[key]

    def _asked(self, original: Pixels, coded: Pixels) -> float:
        with tempfile.TemporaryDirectory() as folder:
            files = [str(Path(folder) / name) for name in ("original.png", "coded.png")]
            for pixels, file in zip((original, coded), files, strict=True):
                Image.fromarray(pixels).save(file, compress_level=1)
            run = subprocess.run(
                [self._program, *files], capture_output=True, text=True, check=True
            )
        return float(run.stdout.split()[0])


def _key(original: Pixels, coded: Pixels) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for pixels in (original, coded):
        digest.update(repr(pixels.shape).encode())
        digest.update(pixels.tobytes())
    return digest.hexdigest()
