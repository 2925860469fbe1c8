"""Admission: jobs are refused before they are queued when too many wait already."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .ledger import Ledger, Registration


class BacklogFullError(RuntimeError):
    """Too many jobs wait for workers; says when to come again (``retry_after_s``)."""

    def __init__(self, refused: int, retry_after_s: float) -> None:
        super().__init__(
            f"{refused} jobs were refused: as many jobs wait as PIXFLEET_QUEUE_MAX_BACKLOG allows. "
            f"Try again in {retry_after_s:g} s, start more workers, or raise the limit if the "
            "ledger's Redis has room (3 kB a job)"
        )
        self.retry_after_s = retry_after_s


def admit(
    ledger: Ledger, jobs: Sequence[Registration], patience_s: float
) -> tuple[list[bool | None], BacklogFullError | None]:
    """Register jobs, waiting ``patience_s`` in all for room.

    An answer for each job (True accepted, False known already, None refused), and the error when
    any was refused.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """
    deadline = time.monotonic() + patience_s
    answers: list[bool | None] = [None] * len(jobs)
    left = list(range(len(jobs)))
    while True:
        wait_s = 0
        for place, (what, pause_s) in zip(
            left, ledger.register([jobs[place] for place in left]), strict=True
        ):
            answers[place] = None if what < 0 else what == 1
            wait_s = max(wait_s, pause_s)
        left = [place for place in left if answers[place] is None]
        if not left:
            return answers, None
        if time.monotonic() + wait_s > deadline:
            return answers, BacklogFullError(len(left), wait_s)
        time.sleep(wait_s)
