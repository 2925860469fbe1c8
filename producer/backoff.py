"""How long to wait before a broken connection is tried again."""

from __future__ import annotations

import random
from typing import Final

from redis.backoff import AbstractBackoff

_DOUBLINGS: Final = 60
"""Beyond any cap; redis-py's own backoffs overflow after a thousand failures."""


class JitteredBackoff(AbstractBackoff):
    """Doubles from ``first_s`` to ``most_s``; of each pause the second half is left to chance.

    Who lost the same server in the same instant does not come back to it in the same instant.
    """

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s

    def compute(self, failures: int) -> float:
        """Seconds to wait after the ``failures``-th failure in a row, counted from 1."""
        doublings = min(max(failures - 1, 0), _DOUBLINGS)
        pause_s = min(self._most_s, self._first_s * 2**doublings)
        return pause_s * random.uniform(0.5, 1)  # noqa: S311 (jitter)
