"""A Valkey that tests may kill, freeze and start again: on loopback, its data in a folder."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Final, Self

import redis
from redis.exceptions import RedisError

from pixfleet.workers.embedded import find_server

if TYPE_CHECKING:
    from pathlib import Path


AS_EMBEDDED: Final = ("--appendfsync", "everysec", "--maxmemory-policy", "noeviction")
"""Options with which it keeps and forgets what the embedded broker does."""


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class LoopbackBroker:
    """A server of its own, with an append-only file; ``options`` go to it as they are."""

    def __init__(self, folder: Path, *options: str, password: str = "", port: int = 0) -> None:
        self.port = port or free_port()
        self._folder = folder
        self._options = options
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(port=self.port, password=password or None, socket_timeout=5)

    @property
    def url(self) -> str:
        """URL for Celery and redis-py alike."""
        login = f":{self._password}@" if self._password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        """Returns when it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        options = [
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
            *(("--requirepass", self._password) if self._password else ()),
            *self._options,
        ]
        log = self._folder / "broker.log"
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [str(find_server()), *options], stdout=file, stderr=file
            )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        return self

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=2) as client:
            try:
                return client.ping()
            except (RedisError, OSError):
                return False

    def stop(self) -> None:
        """Asked to go, as an upgrade does; what was queued is on disk."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Without a word."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def restart(self, *, away_s: float = 0.5) -> None:
        """Gone for a while, then back with what it had."""
        self.stop()
        time.sleep(away_s)
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.kill()
