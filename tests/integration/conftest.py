"""The wheel, and an environment that holds only its light install."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
SOURCES = ("config", "producer", "workers", "pyproject.toml", "README.md", "LICENSE")


def _run(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel. From a copy, so that neither stale build folders nor the tests meet."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = TOP / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", cwd=folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="session")
def light_env(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Python of a fresh virtual environment that holds the wheel without extras."""
    folder = tmp_path_factory.mktemp("light")
    python = folder / "bin" / "python"
    _run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=TOP)
    pinned = TOP / "requirements" / "runtime.txt"
    uv = Path(sys.executable).with_name("uv")
    _run(
        *(uv, "pip", "install", "--python", python, "--constraints", pinned, wheel),
        cwd=folder,
    )
    yield python
    shutil.rmtree(folder)
