"""``pixfleet up``: the Procfile's processes on the embedded broker, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack, suppress
from importlib import resources
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from honcho.compat import ProcessManager
from honcho.environ import parse_procfile
from honcho.manager import SIGNALS, Manager
from honcho.printer import Printer
from honcho.process import Process
from kombu.utils.url import maybe_sanitize_url

from pixfleet.config.settings import Settings, SettingsError
from pixfleet.producer.terminal import FAILED, messages

from .embedded import EmbeddedBroker
from .fleet.notice import GIVE_BACK_S
from .logs import for_children_of

if TYPE_CHECKING:
    from pathlib import Path

    from pixfleet.config.monitor_settings import MonitorSettings

_LOOK_S = 1.0


class _LeaderFirst(ProcessManager):
    """Asks only the process itself to end: its children know no better than to drop their jobs."""

    def terminate(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


class _Service(Process):
    """A process of the Procfile, and the small one that reads its output; neither outlives `up`."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:  # noqa: FBT001, FBT002 (inherited)
        threading.Thread(target=self._end_with, args=(os.getppid(),), daemon=True).start()
        super().run(events, ignore_signals)

    def _end_with(self, parent: int) -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.kill(self._child.pid, signal.SIGTERM)


class _Fleet(Manager):
    """As patient as a worker needs to end its jobs; honcho's own patience is 5 s."""

    def __init__(self, printer: Printer, patience_s: float) -> None:
        super().__init__(printer)
        self._procmgr = _LeaderFirst()
        self._process_ctor = _Service
        self._patience_s = patience_s
        self._told_s: float | None = None

    def terminate(self) -> None:
        if self._told_s is None:
            self._told_s = time.monotonic()
        super().terminate()

    def kill(self) -> None:
        if self._told_s is not None and time.monotonic() - self._told_s > self._patience_s:
            super().kill()


def run_procfile(procfile: Path | None, state: Path) -> int:
    """Start what the Procfile says, stop all of it when one ends or on Ctrl-C; the exit code.

    Raises:
        BrokerError: the embedded broker does not start.
        SettingsError: a setting is wrong, or a port is taken.
        OSError: the Procfile cannot be read.
    """
    file = procfile or resources.files("pixfleet.workers") / "Procfile"
    processes: dict[str, str] = dict(parse_procfile(file.read_text(encoding="utf-8")).processes)
    if not processes:
        raise SettingsError(f"{file} names no process; a line is `name: command`")
    settings = Settings.load()
    watch = settings.monitor
    if find_spec("flower") is None and processes.pop("dashboard", None):
        messages.print(
            "flower is not installed (pip install 'pixfleet[monitor]'): no dashboard, then"
        )
    if procfile is None:
        _check_ports(watch, dashboard="dashboard" in processes)
    with ExitStack() as stack:
        environment = _environment(state, settings)
        if not environment.get("PIXFLEET_BROKER"):
            environment["PIXFLEET_BROKER"] = stack.enter_context(EmbeddedBroker(state)).url
            environment["PIXFLEET_LEDGER"] = ""
        manager = _Fleet(Printer(sys.stdout), settings.worker.soft_shutdown_s + GIVE_BACK_S)
        for name, command in processes.items():
            manager.add_process(name, command, env=environment)
        url = environment["PIXFLEET_BROKER"]
        _say("broker", maybe_sanitize_url(url) if "@" in url else url)
        if "dashboard" in processes:
            _say("dashboard", f"http://127.0.0.1:{watch.flower_port}/")
        if "monitor" in processes:
            _say("metrics", f"http://{watch.host}:{watch.port}/metrics")
        _say("submit", "pixfleet submit samples --out out, in another terminal")
        _say("stop", "Ctrl-C")
        manager.loop()
        return _exit_code(manager)


def _environment(state: Path, settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        # The commands of this environment, whether or not it is activated.
        "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ.get('PATH', '')}",  # noqa: PTH120 (a string)
        "PIXFLEET_STATE": str(state),
        "PYTHONUNBUFFERED": "1",
        # What they write comes through a pipe, so they cannot see by themselves who reads it.
        "PIXFLEET_LOG_FORMAT": for_children_of(settings.log),
    }


def _check_ports(watch: MonitorSettings, *, dashboard: bool) -> None:
    """A port that is taken is said at once, not in the log of a process that died of it."""
    places = [("PIXFLEET_MONITOR_PORT", watch.host, watch.port)]
    if dashboard:
        places.append(("PIXFLEET_MONITOR_FLOWER_PORT", "127.0.0.1", watch.flower_port))
    for variable, host, port in places:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise SettingsError(
                    f"{variable}: {host}:{port} cannot be used ({error.strerror}); is another "
                    "`pixfleet up` running? Set it to a free port"
                ) from None


def _say(what: str, value: str) -> None:
    messages.print(f"{what:<9}  {value}", soft_wrap=True)


def _exit_code(manager: Any) -> int:
    """0 when we were asked to go, 1 when a process went by itself."""
    asked = {fact["rc"] for fact in SIGNALS.values()}
    if manager.returncode in asked:
        return 0
    messages.print("a process ended by itself, so all were stopped; its last lines are above")
    return FAILED
