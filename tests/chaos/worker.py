"""A worker as a machine of its own: host name, session, and signals from outside."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from pixfleet.config import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis

BOOTSTRAP: Final = Path(__file__).with_name("bootstrap")
_NEW_UTS: Final = 0x04000000
_READY_S: Final = 60.0
_PARENT_DIED: Final = 1


def own_host_names() -> bool:
    """May processes here have host names of their own? Else all workers share this machine's."""
    return sys.platform == "linux" and os.geteuid() == 0


class Worker:
    """A prefork worker; ``host`` is its host name where the system allows that."""

    def __init__(
        self,
        host: str,
        *,
        environment: Mapping[str, str],
        log: Path,
        children: int = 2,
    ) -> None:
        self.host = host if own_host_names() else socket.gethostname()
        self.name = f"chaos-{host}@{host}"
        self.log = log
        self.frozen = False
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **environment}
        path = [str(BOOTSTRAP), environment.get("PYTHONPATH", "")]
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pixfleet.workers.lean", self.name, str(children)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, path))},
                start_new_session=True,
                preexec_fn=lambda: _settle(host),  # noqa: PLW1509 (system calls, no locks)
            )
        self.began_s = time.monotonic()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def children(self) -> list[int]:
        """Process ids of its children."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(self.process.pid).children()]
        return []

    def owns(self, owner: str) -> bool:
        """Is the owner of a job, in the ledger's words, a child of this worker?"""
        host, _, pid = owner.rpartition(":")
        return host == self.host and pid.isdigit() and int(pid) in self.children

    def wait_ready(self, client: redis.Redis) -> None:
        deadline = time.monotonic() + _READY_S
        while client.zscore(keys.WORKERS, self.name) is None:
            assert self.alive, self.tail()
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.05)

    def signal(self, number: signal.Signals) -> None:
        """To the main process alone."""
        self.process.send_signal(number)

    def signal_all(self, number: signal.Signals) -> None:
        """To the main process and all its children: they share a session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def end(self, patience_s: float = 30) -> None:
        """Ask it to go, and make sure that nothing is left."""
        if self.alive:
            self.signal_all(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience_s)
        self.kill()

    def kill(self) -> None:
        """End it and its children at once."""
        self.signal_all(signal.SIGKILL)
        self.process.wait()

    def tail(self, lines: int = 30) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])


def _settle(host: str) -> None:
    libc = ctypes.CDLL(None)
    if own_host_names():
        libc.unshare(_NEW_UTS)
        socket.sethostname(host)
    if sys.platform == "linux":
        libc.prctl(_PARENT_DIED, signal.SIGKILL)
