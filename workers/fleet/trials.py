"""Attempts at an encoding, on record, so that one that ends its process is not made for ever.

Encoders are C code that may hang with the interpreter's lock held, or bring their process down:
nothing in that process can then say so. What was begun and never ended is read by the next run of
the job, and by the worker that saw its child go (``losses``). A hang ends by a watchdog in C
(``faulthandler``), which needs no lock.
"""

from __future__ import annotations

import faulthandler
import math
import time
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from pixfleet.config import keys
from pixfleet.producer.connection import answering
from pixfleet.workers.errors import EncoderLostError

from .owner import owner_name

if TYPE_CHECKING:
    from collections.abc import Generator

    import redis

    from pixfleet.config.settings import WorkerSettings

DEATHS_ALLOWED: Final = 2
"""Once may be a killed machine; twice in the same encoder is the encoder."""
_TTL_S: Final = 86_400
_BEFORE_KILL_S: Final = 5
"""The hard time limit ends a process without a word, so the watchdog is to come before it."""
_STDERR: Final = 2
_log = structlog.get_logger()


class Trials:
    """The attempts of one step of one job; its time limits begin when it is made."""

    def __init__(self, client: redis.Redis, job_id: str, worker: WorkerSettings) -> None:
        self._redis = client
        self._key = keys.TRIALS + job_id
        self._worker = worker
        self._ends_s = time.monotonic() + worker.hard_time_limit_s - _BEFORE_KILL_S
        self._begin = client.register_script(_script("begin"))

    @contextmanager
    def attempt(self, variant: str, image_format: str, px: int) -> Generator[None]:
        """The body encodes one format of one cut of ``px`` pixels, in the time it has.

        At the time's end the process ends: its worker starts another, and the job's next run
        passes over the format, at this size and above.

        Raises:
            EncoderLostError: ``encoder_timeout`` or ``encoder_crashed`` on an earlier run.
        """
        limit_s = self._limit_s(px)
        recorded = self._recorded(variant, image_format, px, limit_s)
        faulthandler.dump_traceback_later(limit_s, exit=True, file=_STDERR)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            if recorded:
                self._ended(variant)

    def _limit_s(self, px: int) -> int:
        worker = self._worker
        own_s = worker.encode_time_limit_s + worker.encode_time_limit_s_per_mp * px / 1e6
        return max(1, math.ceil(min(own_s, self._ends_s - time.monotonic())))

    def _recorded(self, variant: str, image_format: str, px: int, limit_s: int) -> bool:
        try:
            with answering(self._redis):
                answer = self._begin(
                    keys=[self._key],
                    args=[variant, image_format, owner_name(), px, limit_s, DEATHS_ALLOWED, _TTL_S],
                )
        except ConnectionError as error:  # a record is no reason to fail an encoding
            _log.warning("trial.not_recorded", variant=variant, error=str(error))
            return False
        deaths, overrun_s = cast("list[Any]", answer)
        if overrun_s:
            raise EncoderLostError(
                "encoder_timeout",
                f"{image_format} had not ended after {overrun_s} s, so its process was ended",
                "raise PIXFLEET_WORKER_ENCODE_TIME_LIMIT_S if the machine is merely slow; else ask "
                "for another format. The worker's log shows where it stood",
            )
        if deaths:
            raise EncoderLostError(
                "encoder_crashed",
                f"{image_format} ended the process that encoded it, {deaths} times",
                "it may need more memory than a child has: run fewer children on this machine, ask "
                "for a smaller size or another format, or report the image with the worker's log",
            )
        return True

    def _ended(self, variant: str) -> None:
        try:
            with answering(self._redis):
                self._redis.hdel(self._key, f"open:{variant}")
        except ConnectionError as error:
            _log.warning("trial.not_recorded", variant=variant, error=str(error))


def bury(client: redis.Redis, job_id: str, owner: str) -> None:
    """Record that a process of this host ended before its step of the job did."""
    with answering(client):
        client.register_script(_script("bury"))(keys=[keys.TRIALS + job_id], args=[owner])


def forgive(client: redis.Redis, job_id: str, owner: str) -> None:
    """A process of this host was ended on purpose: what it was encoding does not count as lost."""
    name = keys.TRIALS + job_id
    with answering(client):
        fields = cast("dict[bytes, bytes]", client.hgetall(name))
        ours = [
            field
            for field, value in fields.items()
            if field.startswith(b"open:") and value.split()[-1] == owner.encode()
        ]
        if ours:
            client.hdel(name, *ours)


def _script(name: str) -> str:
    return (resources.files("pixfleet.workers.fleet") / f"{name}.lua").read_text(encoding="utf-8")
