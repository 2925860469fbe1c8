"""How long a worker's own tasks took of late, so that it knows what fits before its end."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import Final

_KINDS: Final = 256
_TIMES: Final = 50


class Timings:
    """The newest wall seconds of each kind of task; bounded in kinds and in times of each."""

    def __init__(self) -> None:
        self._times: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def add(self, kind: tuple[str, str], seconds: float) -> None:
        """A task of this name and recipe took so long."""
        times = self._times.setdefault(kind, deque(maxlen=_TIMES))
        times.append(seconds)
        self._times.move_to_end(kind)
        if len(self._times) > _KINDS:
            self._times.popitem(last=False)

    def p90_s(self, kind: tuple[str, str]) -> float | None:
        """What nine of ten did not exceed, in seconds; None where nothing is known."""
        times = sorted(self._times.get(kind, ()))
        return times[math.ceil(len(times) * 0.9) - 1] if times else None


timings: Final = Timings()
"""Of this process: Celery makes the requests that fill it, and knows no place of ours."""
