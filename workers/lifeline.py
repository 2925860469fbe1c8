"""Keeps a broker alive as long as somebody uses it, and no longer.

Run as a script, by its path, in a bare interpreter: ``lifeline.py STATE BROKER ARGUMENT…``. It
holds STATE/broker.lock while the broker runs, leaves its parent, starts the broker and waits for
the exclusive lock on STATE/users.lock, on which every user holds a shared one. The kernel gives
that away when the last user is gone, even if it was killed; then the broker is stopped. Only the
standard library, so that it is up in some 15 ms.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from typing import Final, NoReturn

STOP_S: Final = 10.0
"""Seconds that a broker may take to write its file and go."""


def main(state: str, command: list[str]) -> NoReturn:
    """Start the command, wait until nobody uses it, stop it."""
    os.umask(0o077)
    running = os.open(os.path.join(state, "broker.lock"), os.O_CREAT | os.O_RDWR, 0o600)  # noqa: PTH118 (pathlib would double the start-up)
    fcntl.flock(running, fcntl.LOCK_EX)  # others only look at it, for a moment
    # After this the caller sees the lock held, for as long as the broker runs.
    if os.fork():
        os._exit(0)
    os.setsid()
    users = os.open(os.path.join(state, "users.lock"), os.O_RDWR)  # noqa: PTH118 (as above)
    broker = os.fork()
    if not broker:
        os.setsid()
        os.execv(command[0], command)  # noqa: S606 (no shell is what we want)

    def reap(_signal: int, _frame: object) -> None:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(broker, os.WNOHANG)[0]:
                os._exit(0)

    signal.signal(signal.SIGCHLD, reap)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    reap(signal.SIGCHLD, None)  # it may have gone before the handler was there
    fcntl.flock(users, fcntl.LOCK_EX)
    os.kill(broker, signal.SIGTERM)
    time.sleep(STOP_S)  # ended early by the broker's end, see reap
    os.kill(broker, signal.SIGKILL)
    os.waitpid(broker, 0)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
