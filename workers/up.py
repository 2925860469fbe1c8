"""``pixfleet up``: the Procfile's processes on the embedded broker, until Ctrl-C."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from importlib import resources
from pathlib import Path

from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer

from pixfleet.config.settings import Settings
from pixfleet.config.state import running_broker
from pixfleet.producer.cli import messages

from .embedded import EmbeddedBroker


def run_procfile(procfile: Path | None, state: Path) -> int:
    """Start what the Procfile says, stop all of it when one ends or on Ctrl-C; the exit code.

    Raises:
        BrokerError: the embedded broker does not start.
    """
    file = procfile or Path("Procfile")
    if procfile is None and not file.is_file():
        text = (resources.files("pixfleet.workers") / "Procfile").read_text(encoding="utf-8")
    else:
        text = file.read_text(encoding="utf-8")
    settings = Settings.load()
    with ExitStack() as stack:
        configured = os.environ.get("PIXFLEET_BROKER") or running_broker()
        url = configured or stack.enter_context(EmbeddedBroker(state)).url
        environment = {
            **os.environ,
            # The commands of this environment, whether or not it is activated.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PIXFLEET_BROKER": url,
            "PIXFLEET_STATE": str(state),
            "PYTHONUNBUFFERED": "1",
        }
        manager = Manager(Printer(sys.stdout))
        for name, command in parse_procfile(text).processes.items():
            manager.add_process(name, command, env=environment)
        watch = settings.monitor
        messages.print(f"broker   {url}", markup=False, soft_wrap=True)
        messages.print(f"flower   http://127.0.0.1:{watch.flower_port}/")
        messages.print(f"metrics  http://{watch.host}:{watch.port}/metrics")
        messages.print(
            "submit from another terminal: pixfleet submit samples --out out; stop with Ctrl-C"
        )
        manager.loop()
        return manager.returncode or 0
