"""A wrong wall clock for one process."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def compile_skew(folder: Path) -> Path | None:
    """The library to preload; None without a compiler.

    libfaketime was tried, and breaks ``time.sleep`` of Python 3.11.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "skew.so"
    source = Path(__file__).with_name("skew.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library
