"""Requests of this process that are billed and that no job's receipt holds."""

from __future__ import annotations

import math
import os
import threading
import uuid
from decimal import Decimal
from typing import Any, Final

PIECE_BYTES: Final = 65_536
"""SQS bills every request and answer in pieces of this size."""


class Billed:
    """How many requests to SQS this process has made, and the name under which it says so.

    Totals, not increments, so that a word that is lost or said twice changes nothing.

    Attributes:
        usd: price of one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.usd = Decimal(0)
        self.begin()

    def begin(self) -> None:
        """Count from nothing: also in the child after a fork, whose parent says its own."""
        self._lock = threading.Lock()
        self.name = f"sqs:{uuid.uuid4().hex}"
        self.count = 0
        self.said = 0
        """how many the ledger knows of"""

    def add(self, size_bytes: int = 0) -> None:
        """A request or an answer of so many bytes."""
        with self._lock:
            self.count += max(1, math.ceil(size_bytes / PIECE_BYTES))

    def add_answer(self, size_bytes: int) -> None:
        """What an answer is above the one piece that its request counted."""
        with self._lock:
            self.count += max(0, math.ceil(size_bytes / PIECE_BYTES) - 1)

    def watch(self, client: Any) -> Any:
        """Count what a boto3 client of SQS sends from now on, repeated attempts too."""
        client.meta.events.register("before-send.sqs", self._sent, unique_id="pixfleet-billed")
        return client

    def _sent(self, request: Any, **_: Any) -> None:
        self.add(len(request.body or b""))


sqs_requests: Final = Billed()
os.register_at_fork(after_in_child=sqs_requests.begin)
