"""thumbor, run for real: servers on loopback with their file loader, asked over HTTP."""

from __future__ import annotations

import http.client
import os
import queue
import socket
import subprocess
import threading
import time
import urllib.parse
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

VENV = Path(__file__).parents[1] / ".venv-thumbor"
START_S = 30.0
# All else is thumbor's default: its own quality, engine and decoding. Without the storage it would
# write every source to a cache first, which no other contender does.
CONFIG = """
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = {folder!r}
STORAGE = "thumbor.storages.no_storage"
ALLOW_UNSAFE_URL = True
"""


def interpreter(python: str) -> str:
    """``python`` if it has thumbor, else that of a virtual environment made from it."""
    has = subprocess.run([python, "-c", "import thumbor"], check=False, capture_output=True)
    if not has.returncode:
        return python
    own = str(VENV / "bin" / "python")
    if not VENV.exists():
        subprocess.run([python, "-m", "venv", str(VENV)], check=True)
        subprocess.run([own, "-m", "pip", "install", "--quiet", "thumbor"], check=True)
    return own


def version(python: str) -> str:
    code = "import PIL, thumbor; print(f'thumbor {thumbor.__version__}, Pillow {PIL.__version__}')"
    return subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def make_sizes(
    python: str, folder: Path, out: Path, widths: Sequence[int], processes: int
) -> tuple[float, float]:
    """Wall and CPU seconds of the servers for all widths of all files, each written to ``out``."""
    config = out.with_suffix(".conf")
    config.write_text(CONFIG.format(folder=str(folder)), encoding="utf-8")
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for path in sorted(folder.iterdir()):
        waiting.put(path.name)
    failures: list[str] = []
    with ExitStack() as stack:
        servers = [stack.enter_context(_server(python, config)) for _ in range(processes)]
        before_s = sum(_cpu_s(pid) for pid, _ in servers)
        start_s = time.monotonic()
        threads = [
            threading.Thread(target=_ask, args=(port, waiting, out, widths, failures))
            for _, port in servers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall_s = time.monotonic() - start_s
        cpu_s = sum(_cpu_s(pid) for pid, _ in servers) - before_s
    if failures:
        raise RuntimeError(f"thumbor refused {len(failures)} requests, the first: {failures[0]}")
    return wall_s, cpu_s


@contextmanager
def _server(python: str, config: Path) -> Generator[tuple[int, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = config.with_suffix(".log")
    with log.open("ab") as file:
        process = subprocess.Popen(
            [
                python,
                "-m",
                "thumbor.server",
                "--ip=127.0.0.1",
                f"--port={port}",
                f"--conf={config}",
            ],
            stdout=file,
            stderr=file,
        )
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = log.read_text("utf-8", "replace")[-2000:]
                    raise RuntimeError(f"thumbor did not start:\n{tail}") from None
                time.sleep(0.05)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(10)


def _ask(
    port: int,
    waiting: queue.SimpleQueue[str],
    out: Path,
    widths: Sequence[int],
    failures: list[str],
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while True:
        try:
            name = waiting.get_nowait()
        except queue.Empty:
            return
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for width in widths:
            place = f"/unsafe/{width}x0/filters:no_upscale()/{urllib.parse.quote(name)}"
            connection.request("GET", place)
            answer = connection.getresponse()
            data = answer.read()
            if answer.status != http.HTTPStatus.OK:
                failures.append(f"{answer.status} for {place}")
                continue
            (folder / f"w{width}.jpg").write_bytes(data)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
