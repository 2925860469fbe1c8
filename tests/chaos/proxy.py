"""The network between the fleet and a service: it can be cut, or stand still."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from typing import Final, Literal, Self

State = Literal["open", "cut", "stalled"]
_CHUNK: Final = 65_536
_LOOK_S: Final = 0.1


class Proxy:
    """A TCP proxy on loopback; ``url`` leads through it to ``port``."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._state: State = "open"
        self._closed = False
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._listener.close()

    def cut(self) -> None:
        """Connections are reset, new ones too."""
        self._state = "cut"

    def stall(self) -> None:
        """Connections are taken and nothing passes."""
        self._state = "stalled"

    def mend(self) -> None:
        self._state = "open"

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            if self._state == "cut":
                return
            with socket.create_connection(self._target) as far:
                other = {near: far, far: near}
                while self._state != "cut" and not self._closed:
                    if self._state == "stalled":
                        time.sleep(_LOOK_S)
                        continue
                    for ready in select.select([near, far], [], [], _LOOK_S)[0]:
                        data = ready.recv(_CHUNK)
                        if not data:
                            return
                        other[ready].sendall(data)
