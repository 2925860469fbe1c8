"""The queues, and which task goes where."""

from __future__ import annotations

from typing import Final

INTERACTIVE: Final = "interactive"
"""Somebody waits for the answer."""
ENCODE: Final = "encode"
"""Chord members, the joins after them, and what closes a batch: finishes what was begun."""
BULK: Final = "bulk"
"""Nobody waits."""

LARGE: Final = "large"
"""What needs more memory than most workers' children have."""

HOMES: Final = (INTERACTIVE, BULK)
"""Where jobs wait for their turn."""
QUEUES: Final = (INTERACTIVE, ENCODE, LARGE, BULK)
"""In the order in which a worker prefers them."""

SQS_WAIT_S: Final = 20
"""Seconds that SQS holds the poll of an empty queue open: its most."""
