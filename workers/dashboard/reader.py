"""Reads what a page shows, in a thread of its own, so that no request ever waits for Redis."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import structlog

from pixfleet.producer.connection import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

WATCHED_S: Final = 30
"""So long after the last question it goes on reading: an open page asks more often."""
_FIRST_S: Final = 1.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page is told.

    Attributes:
        body: JSON: ``data``, ``read_at_s`` (UTC seconds) and, where the newest reading failed,
            ``problem`` and ``failing_since_s``; then ``data`` is the last that succeeded.
        etag: the same as long as data and problem are.
        read_at_s: as in the body.
    """

    body: bytes
    etag: str
    read_at_s: float | None


class Reader:
    """Keeps the newest answer of one question; asks it only while somebody looks."""

    def __init__(self, name: str, read: Callable[[], object], every_s: float = 2.0) -> None:
        """``read`` gives what JSON can hold, dataclasses and Decimals too; it may block."""
        self._name = name
        self._read = read
        self._every_s = every_s
        self._change = threading.Condition()
        self._asked_s = float("-inf")
        self._at_once = False
        self._next: Future[None] = Future()
        self._thread: threading.Thread | None = None
        self._data = "null"
        self._read_at_s: float | None = None
        self._failing_since_s: float | None = None
        self._answer = self._told(None)

    async def newest(self) -> Answer:
        """The newest answer, at once; but a moment later where nobody has asked for a while."""
        coming = self._ask()
        if coming is not None:
            with suppress(TimeoutError):  # the answer says itself how old it is
                await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(coming)), _FIRST_S)
        return self._answer

    def renew(self) -> None:
        """Read again now: something was changed."""
        with self._change:
            self._at_once = True
            self._change.notify()

    def _ask(self) -> Future[None] | None:
        """Somebody looks; the reading to wait for, where the last one is of long ago."""
        with self._change:
            was_watched = self._watched()
            self._asked_s = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._change.notify()
            return None if was_watched else self._next

    def _watched(self) -> bool:
        return time.monotonic() - self._asked_s < WATCHED_S

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(self._watched)
                self._at_once = False
            self._look()
            with self._change:
                self._change.wait_for(lambda: self._at_once, self._every_s)

    def _look(self) -> None:
        problem = None
        try:
            self._data = json.dumps(self._read(), default=_plain, allow_nan=False)
        except LedgerUnavailableError as error:
            problem = str(error)
        except Exception:  # noqa: BLE001 (the page goes on, and says that it is blind)
            _log.exception("dashboard.blind", page=self._name)
            problem = "this could not be read; the dashboard's log says why"
        else:
            self._read_at_s = time.time()
        if problem is None:
            self._failing_since_s = None
        elif self._failing_since_s is None:
            self._failing_since_s = time.time()
        self._answer = self._told(problem)
        with self._change:
            done, self._next = self._next, Future()
        done.set_result(None)

    def _told(self, problem: str | None) -> Answer:
        said = json.dumps(
            {
                "read_at_s": self._read_at_s,
                "problem": problem,
                "failing_since_s": self._failing_since_s,
            }
        )
        content = f"{problem}{self._data}".encode()
        return Answer(
            body=f'{said[:-1]}, "data": {self._data}}}'.encode(),
            etag=f'W/"{hashlib.sha256(content).hexdigest()[:20]}"',
            read_at_s=self._read_at_s,
        )


def _plain(value: Any) -> object:
    """Money as a decimal string, so that no digit of it is lost."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no form in JSON")
