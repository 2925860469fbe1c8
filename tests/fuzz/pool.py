"""Children that try case after case, under a watch that needs nothing of them.

A child that crashes or hangs names its case by what it wrote before it; the next one goes on behind
it. Every case is made anew from its number, so that nothing is sent but numbers.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import selectors
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Try = Callable[[int], tuple[str, str, str]]

_DUMP_S = 0.3
"""For a child that hangs to write where."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Case:
    """How one case ended."""

    number: int
    kind: str
    """of file: the format of the seed"""
    code: str
    """the outcome's; ``crash`` or ``hang`` where the child ended instead"""
    detail: str
    took_s: float
    child: int
    rss_bytes: int
    """of the child after the case; 0 where it ended"""


@dataclass(slots=True)
class _Child:
    pid: int
    pipe: int
    todo: range
    log: Path
    unread: bytes = b""
    number: int | None = None
    began_s: float = field(default_factory=time.monotonic)


class Pool:
    """``children`` processes over ``numbers``, each case in ``limit_s`` and ``data_bytes``."""

    def __init__(
        self,
        prepare: Callable[[int], Try],
        *,
        children: int,
        limit_s: float,
        data_bytes: int,
        folder: Path,
    ) -> None:
        self._prepare = prepare
        self._children = children
        self._limit_s = limit_s
        self._data_bytes = data_bytes
        self._folder = folder
        self._started = 0

    def cases(self, numbers: range) -> Iterator[Case]:
        """Every case as it ends; those of different children interleave."""
        with selectors.DefaultSelector() as ready:
            for first in range(self._children):
                self._fork(ready, numbers[first :: self._children])
            while ready.get_map():
                for key, _ in ready.select(timeout=0.2):
                    yield from self._read(ready, key.data)
                for key in list(ready.get_map().values()):
                    child: _Child = key.data
                    busy = child.number is not None
                    if busy and time.monotonic() - child.began_s > self._limit_s:
                        os.kill(child.pid, signal.SIGUSR1)
                        time.sleep(_DUMP_S)
                        os.kill(child.pid, signal.SIGKILL)
                        yield self._replaced(ready, child, "hang", self._bury(ready, child))

    def _fork(self, ready: selectors.BaseSelector, todo: range) -> None:
        if not todo:
            return
        self._started += 1
        log = self._folder / f"child-{self._started}.log"
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reader)
            self._work(writer, todo, log)
        os.close(writer)
        ready.register(reader, selectors.EVENT_READ, _Child(pid, reader, todo, log))

    def _work(self, pipe: int, todo: range, log: Path) -> NoReturn:
        """A child's life."""
        try:
            stderr = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            os.dup2(stderr, 2)
            faulthandler.enable(file=2)
            faulthandler.register(signal.SIGUSR1, file=2)
            resource.setrlimit(resource.RLIMIT_DATA, (self._data_bytes, resource.RLIM_INFINITY))
            attempt = self._prepare(os.getpid())
            for number in todo:
                os.write(pipe, f"{number}\n".encode())
                kind, code, detail = attempt(number)
                line = f"{number}\t{kind}\t{code}\t{_rss_bytes()}\t{detail!r}\n"
                os.write(pipe, line.encode("utf-8", "backslashreplace"))
        except BaseException:  # noqa: BLE001 (a child never returns into its parent's code)
            traceback.print_exc(file=sys.__stderr__)
            os._exit(70)
        os._exit(0)

    def _read(self, ready: selectors.BaseSelector, child: _Child) -> Iterator[Case]:
        data = os.read(child.pipe, 1 << 16)
        if not data:
            status = self._bury(ready, child)
            if child.number is not None:
                yield self._replaced(ready, child, "crash", status)
            elif status:
                raise RuntimeError(f"a child ended between cases: {self._last_words(child)}")
            return
        *lines, child.unread = (child.unread + data).split(b"\n")
        for line in lines:
            number, *rest = line.decode().split("\t")
            now = time.monotonic()
            if not rest:
                child.number, child.began_s = int(number), now
                continue
            kind, code, rss, detail = rest
            child.number = None
            took_s = now - child.began_s
            yield Case(int(number), kind, code, detail, took_s, child.pid, int(rss))

    def _bury(self, ready: selectors.BaseSelector, child: _Child) -> int:
        """The exit code of a child that has ended."""
        _, status = os.waitpid(child.pid, 0)
        ready.unregister(child.pipe)
        os.close(child.pipe)
        return os.waitstatus_to_exitcode(status)

    def _last_words(self, child: _Child) -> str:
        return child.log.read_text(errors="replace")[-4000:]

    def _replaced(
        self, ready: selectors.BaseSelector, child: _Child, code: str, status: int
    ) -> Case:
        """How the child's case ended it; another child goes on behind the case."""
        assert child.number is not None
        self._fork(ready, child.todo[child.todo.index(child.number) + 1 :])
        detail = repr(f"exit status {status}\n{self._last_words(child)}")
        took_s = time.monotonic() - child.began_s
        return Case(child.number, "?", code, detail, took_s, child.pid, 0)


def _rss_bytes() -> int:
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 (read thousands of times)
        return int(statm.read().split()[1]) * _PAGE_BYTES
