"""Admission: jobs are refused before they are queued when too many wait, or a budget is closed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from .holding import Hold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .ledger import Ledger, Registration


_CLOSED: Final = -2


class BacklogFullError(RuntimeError):
    """Too many jobs wait for workers; says when to come again (``retry_after_s``)."""

    def __init__(self, refused: int, retry_after_s: float) -> None:
        super().__init__(
            f"{refused} jobs were refused: as many jobs wait as PIXFLEET_QUEUE_MAX_BACKLOG allows. "
            f"Try again in {retry_after_s:g} s, start more workers, or raise the limit if the "
            "ledger's Redis has room (3 kB a job)"
        )
        self.retry_after_s = retry_after_s


class BudgetClosedError(RuntimeError):
    """A budget is spent; says whose, how much, and until when.

    Attributes:
        http_status: what an application would answer, 402 Payment Required.
        budget: ``owner|period``.
        spent_usd, limit_usd: of this period.
        retry_after_s: until the period ends.
    """

    http_status: Final = 402

    def __init__(self, refused: int, hold: Hold, retry_after_s: float) -> None:
        self.budget = f"{hold.owner}|{hold.period}"
        self.spent_usd = hold.spent_usd
        self.limit_usd = hold.limit_usd
        self.retry_after_s = retry_after_s
        super().__init__(f"{refused} jobs were refused: {hold.text}")


def admit(
    ledger: Ledger, jobs: Sequence[Registration], patience_s: float
) -> tuple[list[bool | None], BacklogFullError | BudgetClosedError | None]:
    """Register jobs, waiting ``patience_s`` in all for room; for a budget nobody waits.

    An answer for each job (True accepted, False known already, None refused), and the error when
    any was refused.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """
    deadline = time.monotonic() + patience_s
    answers: list[bool | None] = [None] * len(jobs)
    left = list(range(len(jobs)))
    closed: list[tuple[Hold, int]] = []
    while True:
        wait_s = 0
        full: list[int] = []
        registered = ledger.register([jobs[place] for place in left])
        for place, (what, pause_s, why) in zip(left, registered, strict=True):
            answers[place] = None if what < 0 else what == 1
            if what == _CLOSED:
                closed.append((Hold.read(why), pause_s))
            elif what < 0:
                full.append(place)
                wait_s = max(wait_s, pause_s)
        left = full
        if left and time.monotonic() + wait_s <= deadline:
            time.sleep(wait_s)
        elif left:
            return answers, BacklogFullError(len(left), wait_s)
        else:
            return answers, BudgetClosedError(len(closed), *closed[0]) if closed else None
