"""`pixfleet top`: looks at the fleet again and again, and draws what it saw."""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live

from pixfleet.producer.connection import LedgerUnavailableError

from .monitor.fleet_view import FleetWatch
from .monitor.history import History
from .top_screen import Screen, render, seconds

if TYPE_CHECKING:
    from collections.abc import Generator

    from pixfleet.producer.ledger import Ledger

    from .monitor.fleet_view import FleetView

_TREND_S: Final = 600
_TREND_STEP_S: Final = 10
_TREND_AGE_S: Final = 10.0
_DRAWN_S: Final = 0.5
_LATE_S: Final = 2.0
_LATE_TURNS: Final = 3
"""Intervals and seconds without an answer after which that is said."""
_PLAIN: Final = Screen(columns=120, rows=1_000)
"""What is printed into a pipe: all of it."""


class Top:
    """A view and its trend, kept while the ledger does not answer."""

    def __init__(self, ledger: Ledger) -> None:
        self._watch = FleetWatch(ledger)
        self._history = History(ledger.redis)
        self._trend_s = self._seen_s = -math.inf
        self._problem = ""
        self.trend: list[float | None] = []
        self.view: FleetView | None = None

    def look(self) -> FleetView:
        """Look again.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        view = self._watch.look()
        if time.monotonic() - self._trend_s > _TREND_AGE_S:
            self._trend_s = time.monotonic()
            points = self._history.points(view.at_s, _TREND_S, _TREND_STEP_S)
            self.trend = [point.rates.images_per_s if point.rates else None for point in points]
        self._seen_s = time.monotonic()
        self._problem = ""
        self.view = view
        return view

    def look_on(self, interval_s: float, over: threading.Event) -> None:
        """Look at every interval until it is over; in a thread: who waits for Redis draws not."""
        while not over.wait(interval_s):
            try:
                self.look()
            except LedgerUnavailableError as error:
                self._problem = str(error)
            except Exception as error:  # noqa: BLE001 (told, and the next look may succeed)
                self._problem = f"{type(error).__name__}: {error}"

    def trouble(self, interval_s: float) -> str:
        """Why the view is not of now; empty: it is."""
        age_s = time.monotonic() - self._seen_s
        if not self._problem and age_s < _LATE_S + _LATE_TURNS * interval_s:
            return ""
        why = self._problem or "Redis does not answer"
        return f"the figures are {seconds(age_s)} old: {why}"


def print_once(top: Top) -> None:
    """One look, on stdout."""
    view = top.look()
    console = Console(file=sys.stdout, highlight=False)
    screen = Screen(console.width, _PLAIN.rows) if console.is_terminal else _PLAIN
    if not console.is_terminal:
        console.width = screen.columns
    console.print(render(view, top.trend, screen))


def watch(top: Top, interval_s: float) -> None:
    """The whole terminal, until q or Ctrl-C."""
    top.look()
    console = Console(file=sys.stdout, highlight=False)
    for number in (signal.SIGTERM, signal.SIGHUP):  # so that the terminal is left as it was
        signal.signal(number, lambda got, _: sys.exit(128 + got))
    over = threading.Event()
    looking = threading.Thread(target=top.look_on, args=(interval_s, over), daemon=True)
    looking.start()
    with (
        suppress(KeyboardInterrupt),
        _single_keys() as keys,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while top.view:
            screen = Screen(console.width, console.height)
            trouble = top.trouble(interval_s)
            live.update(render(top.view, top.trend, screen, trouble=trouble), refresh=True)
            # Sooner than it looks, for the terminal's size may change.
            if keys.pressed(min(interval_s, _DRAWN_S)) in ("q", "Q"):
                break
    over.set()


class _Keys:
    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def pressed(self, within_s: float) -> str:
        """A key that was pressed by then; empty: none."""
        if self._descriptor is None:
            time.sleep(within_s)
            return ""
        if not select.select([self._descriptor], [], [], within_s)[0]:
            return ""
        read = os.read(self._descriptor, 1)
        if not read:  # closed: it would be readable for ever
            self._descriptor = None
        return read.decode("ascii", "replace")


@contextmanager
def _single_keys() -> Generator[_Keys]:
    """Keys at once and unseen, where stdin is a terminal; it is left as it was."""
    try:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (OSError, ValueError, termios.error):
        yield _Keys(None)
        return
    tty.setcbreak(descriptor)
    try:
        yield _Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
