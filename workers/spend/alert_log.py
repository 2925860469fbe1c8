"""What became of alerts: as the ledger remembers it, and as anybody may read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from pixfleet.config import keys
from pixfleet.producer.connection import answering

if TYPE_CHECKING:
    import redis


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an event on one channel."""

    id: str
    channel: str
    at: float
    """UTC seconds"""
    outcome: Literal["delivered", "given_up"]
    problem: str
    """of the last try, where it was given up"""
    text: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A channel that could not be told the last time."""

    tries: int
    """that failed in a row"""
    since: float
    """when the first of them did, UTC seconds"""
    again_at: float
    """when it is tried again, UTC seconds"""
    problem: str
    mend: str


class AlertLog:
    """Reads it.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def told(self) -> list[Told]:
        """The newest first."""
        with answering(self._redis):
            rows = cast("list[bytes]", self._redis.lrange(keys.ALERTS_TOLD, 0, -1))
        return [Told(**json.loads(row)) for row in rows]

    def troubles(self) -> dict[str, Trouble]:
        """Channels that could not be told the last time, by name."""
        with answering(self._redis):
            found = cast("dict[bytes, bytes]", self._redis.hgetall(keys.ALERTS_TROUBLE))
        return {name.decode(): Trouble(**json.loads(row)) for name, row in sorted(found.items())}
