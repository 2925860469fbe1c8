"""Jobs that need more memory than most workers have: their queue, and how long they wait on it.

A worker reads a job's need from its header (``pixfleet.workers.need``). What its children may not
map goes to the queue ``large``, which only workers with enough memory consume. Where none of them
shows up in time, the job goes back to any worker, which ends it with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

from pixfleet.config import keys
from pixfleet.config.queues import ENCODE, LARGE, QUEUES
from pixfleet.producer.connection import answering

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis

    from pixfleet.producer.scripts import Scripts

_AGAIN_S: Final = 60
Rerouted = Literal["rerouted", "unserved", "superseded"]


def consumed(named: str, room_bytes: int, largest_bytes: int) -> list[str]:
    """The queues that a worker takes jobs from: those named, or all its children have room for.

    ``room_bytes`` is what a child may map for a job, ``largest_bytes`` what the largest takes.
    """
    if named:
        return [queue for queue in QUEUES if queue in named.split(",")]
    return [queue for queue in QUEUES if queue != LARGE or room_bytes >= largest_bytes]


def announce(client: redis.Redis, worker: str, queues: Iterable[str], now_s: float) -> None:
    """Give a sign of life for every queue that the worker takes jobs from."""
    with answering(client):
        pipe = client.pipeline(transaction=False)
        for queue in queues:
            pipe.zadd(keys.CONSUMERS + queue, {worker: now_s})
        pipe.execute()


def withdraw(client: redis.Redis, worker: str) -> None:
    """The worker takes no more jobs."""
    with answering(client):
        pipe = client.pipeline(transaction=False)
        for queue in QUEUES:
            pipe.zrem(keys.CONSUMERS + queue, worker)
        pipe.execute()


class LargeLane:
    """The way to the queue ``large`` and back; each move is one step in Lua."""

    def __init__(self, client: redis.Redis, scripts: Scripts, *, wait_s: int) -> None:
        self._redis = client
        self._scripts = scripts
        self._wait_s = wait_s
        self._reroute, self._unserved = (
            scripts.load("pixfleet.workers.fleet", name) for name in ("reroute", "unserved")
        )

    def has(self, job_id: str) -> bool:
        """Was the job put on this queue, and not back on another since?"""
        with answering(self._redis):
            return self._redis.hget(keys.JOB + job_id, "on") == LARGE.encode()

    def reroute(self, job_id: str, fence: int, why: str) -> Rerouted:
        """Put a job that this process has claimed on the queue; the attempt does not count.

        ``unserved``: it has waited in vain, and is still claimed, to be ended.
        """
        (answer,) = self._scripts.run(
            self._reroute, job_id, fence, LARGE, why, self._wait_s, keys.ALIVE_S
        )
        return cast("Rerouted", answer.decode())

    def give_up(self) -> int:
        """Put jobs that waited in vain back on a queue of all workers; how many those were."""
        (back,) = self._scripts.run(self._unserved, LARGE, ENCODE, keys.ALIVE_S, _AGAIN_S)
        return int(back)
