"""A Celery worker as a child process: started, waited for, stopped."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, Self

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pixfleet.config import keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import redis

_READY_S: Final = 30.0
_STOP_S: Final = 15.0
_STOP_AT_ONCE_S: Final = 2.0


def _die_with_parent() -> None:
    """On Linux, even a killed keeper takes its worker along."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class WorkerStartError(RuntimeError):
    """The worker did not come up; carries the end of its log."""


class WorkerProcess:
    """One prefork worker in a session of its own, so that Ctrl-C reaches only its keeper."""

    def __init__(
        self, client: redis.Redis, *, children: int, environment: Mapping[str, str], log: Path
    ) -> None:
        self._redis = client
        self._log = log
        self.name = f"pixfleet-{os.getpid()}-{time.time_ns():x}@local"
        self._command = [
            sys.executable,
            "-m",
            "pixfleet.workers.lean",
            self.name,
            str(children),
        ]
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (one system call, no locks)
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of its main process, 0 while there is none."""
        return self._process.pid if self._process else 0

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process else None

    def wait_ready(self) -> None:
        """Return as soon as the worker takes jobs.

        Raises:
            WorkerStartError: it left, or was not ready in time.
        """
        deadline = time.monotonic() + _READY_S
        while not self._listed(unless_known=False):
            if self.exit_code is not None or time.monotonic() > deadline:
                tail = "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-15:])
                raise WorkerStartError(
                    f"the worker did not start (exit {self.exit_code}); its log {self._log} "
                    f"ends with:\n{tail}"
                )
            time.sleep(0.02)

    def _listed(self, *, unless_known: bool) -> bool:
        """Ready for jobs, or busy with its last ones; while Redis is away, ``unless_known``."""
        try:
            return self._redis.zscore(keys.WORKERS, self.name) is not None
        except (RedisConnectionError, RedisTimeoutError):
            return unless_known

    def stop(self, *, at_once: bool = False) -> None:
        """Let running jobs end (or not, ``at_once``), then make sure that nothing is left."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGQUIT if at_once else signal.SIGTERM)
            deadline = time.monotonic() + (_STOP_AT_ONCE_S if at_once else _STOP_S)
            while (
                process.poll() is None
                and self._listed(unless_known=True)
                and time.monotonic() < deadline
            ):
                time.sleep(0.01)
        # The session's id is the worker's: children that outlived it go too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._process = None
        with contextlib.suppress(RedisConnectionError, RedisTimeoutError):  # it is forgotten anyway
            self._redis.zrem(keys.WORKERS, self.name)
