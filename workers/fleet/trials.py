"""Work in C libraries, on record, so that what ends its process is not tried for ever.

Decoders and encoders may hang with the interpreter's lock held, or bring their process down:
nothing in that process can then say so. What was begun and never ended is read by the next run of
the job, and by the worker that saw its child go (``losses``). A hang ends by a watchdog in C
(``faulthandler``), which needs no lock.
"""

from __future__ import annotations

import faulthandler
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from pixfleet.config import keys
from pixfleet.producer.connection import answering
from pixfleet.workers.errors import DecoderLostError, EncoderLostError

from .owner import owner_name

if TYPE_CHECKING:
    from collections.abc import Generator

    import redis

    from pixfleet.config.worker_settings import WorkerSettings

DEATHS_ALLOWED: Final = 2
"""Once may be a killed machine; twice in the same library is the library."""
_TTL_S: Final = 86_400
_BEFORE_KILL_S: Final = 5
"""The hard time limit ends a process without a word, so the watchdog is to come before it."""
_STDERR: Final = 2
_UNDONE: Final = {"decode": "decoded", "features": "looked at", "resize": "resized"}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Lost:
    """What earlier runs of the job lost to a tool."""

    deaths: int
    overrun_s: int
    """the limit that was overrun; 0: none was"""


class Trials:
    """The attempts of one step of one job; its time limits begin when it is made."""

    def __init__(self, client: redis.Redis, job_id: str, worker: WorkerSettings) -> None:
        self._redis = client
        self._key = keys.TRIALS + job_id
        self._worker = worker
        self._ends_s = time.monotonic() + worker.hard_time_limit_s - _BEFORE_KILL_S
        # With its last attempt a job must still be able to say what it died of.
        self._step_deaths = max(1, worker.max_attempts - 1)
        self._encoder_deaths = min(DEATHS_ALLOWED, self._step_deaths)
        self._begin = client.register_script(_script("begin"))

    @contextmanager
    def attempt(self, variant: str, image_format: str, px: int) -> Generator[None]:
        """The body encodes one format of one cut of ``px`` pixels, in the time it has.

        At the time's end the process ends: its worker starts another, and the job's next run
        passes over the format, at this size and above.

        Raises:
            EncoderLostError: ``encoder_timeout`` or ``encoder_crashed`` on an earlier run.
        """
        worker = self._worker
        limit_s = self._limit_s(
            worker.encode_time_limit_s + worker.encode_time_limit_s_per_mp * px / 1e6
        )
        lost = self._begun(variant, image_format, px, limit_s, self._encoder_deaths)
        if lost.overrun_s:
            raise EncoderLostError(
                "encoder_timeout",
                f"{image_format} had not ended after {lost.overrun_s} s, so its process was ended",
                "raise PIXFLEET_WORKER_ENCODE_TIME_LIMIT_S if the machine is merely slow; else ask "
                "for another format. The worker's log shows where it stood",
            )
        if lost.deaths:
            raise EncoderLostError(
                "encoder_crashed",
                f"{image_format} ended the process that encoded it, {lost.deaths} times",
                "it may need more memory than a child has: run fewer children on this machine, ask "
                "for a smaller size or another format, or report the image with the worker's log",
            )
        with self._watched(variant, limit_s):
            yield

    @contextmanager
    def step(self, name: str, what: str, px: int) -> Generator[None]:
        """The body does ``name`` (decode, features or resize) to ``what``, in the time it has.

        At the time's end the process ends, and the job's next run ends the job: without its
        pixels, nothing can be made.

        Raises:
            DecoderLostError: ``NAME_time_limit`` or ``NAME_crashed`` on an earlier run.
        """
        worker = self._worker
        limit_s = self._limit_s(
            worker.decode_time_limit_s + worker.decode_time_limit_s_per_mp * px / 1e6
        )
        slot = f".{name}"  # no variant's name begins like this
        lost = self._begun(slot, slot, px, limit_s, self._step_deaths)
        if lost.overrun_s:
            raise DecoderLostError(
                f"{name}_time_limit",
                f"{what} had not been {_UNDONE[name]} after {lost.overrun_s} s, so the process was "
                "ended",
                "raise PIXFLEET_WORKER_DECODE_TIME_LIMIT_S (and _PER_MP) if the machine is merely "
                "slow; else the file breaks its decoder. The worker's log shows where it stood",
            )
        if lost.deaths:
            raise DecoderLostError(
                f"{name}_crashed",
                f"the process died {lost.deaths} times while {what} was being {_UNDONE[name]}",
                "the file breaks its decoder, or the machine is out of memory: look into the "
                "worker's log, save the image again in an editor, or leave it out",
            )
        with self._watched(slot, limit_s):
            yield

    @contextmanager
    def _watched(self, slot: str, limit_s: int) -> Generator[None]:
        faulthandler.dump_traceback_later(limit_s, exit=True, file=_STDERR)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._ended(slot)

    def _limit_s(self, own_s: float) -> int:
        return max(1, math.ceil(min(own_s, self._ends_s - time.monotonic())))

    def _begun(self, slot: str, tool: str, px: int, limit_s: int, deaths_allowed: int) -> _Lost:
        """Write down what begins, unless it was lost before."""
        try:
            with answering(self._redis):
                answer = self._begin(
                    keys=[self._key],
                    args=[slot, tool, owner_name(), px, limit_s, deaths_allowed, _TTL_S],
                )
        except ConnectionError as error:  # a record is no reason to fail a job
            _log.warning("trial.not_recorded", slot=slot, error=str(error))
            return _Lost(0, 0)
        deaths, overrun_s = cast("list[Any]", answer)
        return _Lost(deaths, overrun_s)

    def _ended(self, slot: str) -> None:
        try:
            with answering(self._redis):
                self._redis.hdel(self._key, f"open:{slot}")
        except ConnectionError as error:
            _log.warning("trial.not_recorded", slot=slot, error=str(error))


def bury(client: redis.Redis, job_id: str, owner: str, *, signalled: bool = False) -> None:
    """Record that a process of this host ended before its step of the job did.

    ``signalled``: by a signal, so that it was no watchdog, however late this is said.
    """
    with answering(client):
        args = [owner, int(signalled)]
        client.register_script(_script("bury"))(keys=[keys.TRIALS + job_id], args=args)


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
