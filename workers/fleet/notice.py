"""That a worker has to go, why, and how long it may take."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Final

GIVE_BACK_S: Final = 4.0
"""What a worker takes beyond its deadline to give work back and go (1.5 s measured), with room for
a busy machine; past it, it goes down hard."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A worker's end is near."""

    why: str
    """in words: SIGTERM, drain, spot terminate"""
    seen_s: float
    """monotonic seconds"""
    deadline_s: float
    """monotonic seconds; what still runs then is given back"""


class Notices:
    """All that told one worker to go. The first says why, the shortest counts.

    Without a lock, because signal handlers call it too: what could be lost between two notices of
    the same instant is the longer deadline of one of them.
    """

    def __init__(self) -> None:
        self.notice: Notice | None = None

    def give(self, why: str, within_s: float) -> Notice:
        """Go within so many seconds; the answer is what counts now."""
        now = time.monotonic()
        deadline_s = now + max(0.0, within_s)
        before = self.notice
        if before is None:
            self.notice = Notice(why, now, deadline_s)
        elif deadline_s < before.deadline_s:
            self.notice = replace(before, deadline_s=deadline_s)
        return self.notice or Notice(why, now, deadline_s)

    def overdue(self) -> bool:
        """Should the worker have been gone by now?"""
        return self.notice is not None and time.monotonic() > self.notice.deadline_s + GIVE_BACK_S
