"""A worker's sign of life on its own disk: how its event loop, tasks and connection are doing.

Written by a thread of the worker's main process and read by probes of the same machine, which need
neither a broker nor more than the standard library. Times are seconds of the monotonic clock, which
processes of one machine share and nobody sets.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Literal

from .owner import is_dead, owner_name

if TYPE_CHECKING:
    from pathlib import Path

State = Literal["starting", "connected", "reconnecting", "ending"]
INTERVAL_S: Final = 2.0
_OLD_S: Final = 20.0
"""A process that has not written for so long is frozen, or its machine is."""
_STUCK_S: Final = 30.0
"""An event loop ticks every second; nothing that it does should take longer than this."""
_MARGIN_S: Final = 60.0
"""Beyond the hard time limit, after which the worker has killed the child and said so."""


@dataclass(frozen=True, slots=True)
class Task:
    """A step in a child's hands."""

    id: str
    name: str
    since_s: float


@dataclass(frozen=True, slots=True)
class Pulse:
    """A worker at one moment."""

    worker: str
    owner: str
    """its main process, as ``owner_name`` calls it"""
    state: State
    """of its connection to the broker; ``ending``: it was told to go"""
    since_s: float
    """when that state began"""
    ticked_s: float
    """last turn of the event loop"""
    written_s: float
    hard_time_limit_s: float
    children: int
    """processes of the pool that are alive"""
    tasks: tuple[Task, ...]

    def ailment(self, now_s: float) -> str:
        """What is wrong, in words; empty while the worker is well.

        A worker whose broker is away is well: to start it anew would lose what it works on.
        """
        if is_dead(self.owner):
            return "its process is gone"
        if not 0 <= now_s - self.written_s <= _OLD_S:
            return f"no sign of life for {now_s - self.written_s:.0f} s: it is frozen"
        if self.state != "connected":
            return ""
        if now_s - self.ticked_s > _STUCK_S:
            return f"its event loop has stood still for {now_s - self.ticked_s:.0f} s"
        for task in self.tasks:
            # While the broker was away nobody could keep the time limit.
            age_s = now_s - max(task.since_s, self.since_s)
            if age_s > self.hard_time_limit_s + _MARGIN_S:
                return (
                    f"{task.name}[{task.id}] has run for {age_s:.0f} s, beyond the hard time limit "
                    f"of {self.hard_time_limit_s:g} s"
                )
        return ""


def write_pulse(folder: Path, pulse: Pulse) -> None:
    """Put the pulse where probes look, whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = re.sub(r"[^\w.@-]", "_", pulse.worker)
    file = folder / f"{plain}.json"
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(asdict(pulse)), encoding="utf-8")
    fresh.replace(file)


def read_pulses(folder: Path, worker: str = "") -> list[Pulse]:
    """The workers of this machine that wrote here, or the one of that name; unreadable is absent.

    The living alone, where there are any: a worker that ended leaves its last pulse behind.
    """
    machine = owner_name().rpartition(":")[0]
    found: list[Pulse] = []
    for file in sorted(folder.glob("*.json")):
        with suppress(OSError, ValueError, TypeError, KeyError):
            fields = json.loads(file.read_text(encoding="utf-8"))
            tasks = tuple(Task(**task) for task in fields.pop("tasks"))
            pulse = Pulse(**fields, tasks=tasks)
            here = pulse.owner.rpartition(":")[0] == machine
            if here and worker in ("", pulse.worker):
                found.append(pulse)
    return [pulse for pulse in found if not is_dead(pulse.owner)] or found


def sweep_pulses(folder: Path) -> None:
    """Remove what workers of this machine left that are gone."""
    for file in folder.glob("*.json"):
        with suppress(OSError, ValueError, KeyError):
            if is_dead(json.loads(file.read_text(encoding="utf-8"))["owner"]):
                file.unlink()
