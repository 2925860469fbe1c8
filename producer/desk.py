"""What an operator does with jobs: list, retry, cancel, purge, forget."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from pixfleet.config import keys
from pixfleet.config.queues import ENCODE, HOMES, QUEUES
from pixfleet.config.results import JobState

from .connection import answering
from .ledger import UnknownJobError, counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .ledger import JobStatus, Ledger

STATES: Final[tuple[JobState, ...]] = get_args(JobState)
PENDING: Final[tuple[JobState, ...]] = ("waiting", "queued", "delayed", "held")
ENDS: Final[tuple[JobState, ...]] = ("done", "failed", "quarantined", "cancelled")
_PAGE: Final = 500


class JobDesk:
    """Orders to the ledger that concern any number of jobs; memory stays bounded."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._redis = ledger.redis
        self._retry = ledger.scripts.load("pixfleet.producer", "retry")
        self._cancel = ledger.scripts.load("pixfleet.producer", "cancel")

    def jobs(self, states: Iterable[JobState], tenant: str | None = None) -> Iterator[JobStatus]:
        """Jobs in these states, the newest end first; of ended ones the ledger lists the newest.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        for state in states:
            for page in _pages(self._ids(state)):
                for status in self._ledger.statuses(page):
                    if status.state == state and tenant in (None, status.tenant):
                        yield status

    def numbers(self) -> dict[JobState, int]:
        """How many jobs stand in each state; of the ended ones, how many are listed."""
        lists = self._waiting_lists()
        sets = {
            "queued": [keys.QUEUED + queue for queue in QUEUES],
            "delayed": [keys.DELAYED],
            "held": self._held_sets(),
            "running": [keys.RUNNING],
            **{state: [keys.ENDED + state] for state in ENDS},
        }
        with answering(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            for name in lists:
                pipe.llen(name)
            for name in itertools.chain.from_iterable(sets.values()):
                pipe.zcard(name)
            found = iter(cast("list[int]", pipe.execute()))
        waiting = sum(itertools.islice(found, len(lists)))
        counted = {state: sum(itertools.islice(found, len(names))) for state, names in sets.items()}
        return {state: waiting if state == "waiting" else counted[state] for state in STATES}

    def retry(self, job_id: str) -> bool:
        """Queue an ended job again, with all its attempts; False: it is done, or has not ended.

        Raises:
            UnknownJobError: no such job.
        """
        state = self._ledger.status(job_id).state
        manifest = self._ledger.manifest(job_id)
        if state not in ENDS or manifest is None:
            return False
        sums = (part for pair in counts(manifest).items() for part in pair)
        return self._ledger.scripts.run(self._retry, job_id, *sums)[0] == 1

    def cancel(self, job_id: str) -> bool:
        """End the job as cancelled; False: it has ended, or is in work and ends by itself.

        Raises:
            UnknownJobError: no such job.
        """
        (before,) = self._ledger.scripts.run(self._cancel, job_id, ENCODE)
        if not before:
            raise UnknownJobError(f"no job or batch {job_id}; `pixfleet jobs` lists them")
        return before.decode() in PENDING

    def cancel_batch(self, batch: str) -> int:
        """End all jobs of a batch that no worker has taken up; how many they are."""
        self._ledger.cancel_batch(batch)
        name = keys.BATCH_JOBS + batch
        return self._cancel_all(self._list(name))

    def purge(self, tenant: str | None = None) -> int:
        """End everything that waits for a worker as cancelled; how many jobs that are."""
        if tenant is None:
            return self._cancel_all(id_ for state in PENDING for id_ in self._ids(state))
        return self._cancel_all(status.id for status in self.jobs(PENDING, tenant))

    def forget(self, tenant: str | None = None) -> int:
        """Delete the records of ended jobs that are listed; how many they are.

        What they spent stays in the sums; their manifests are gone from the ledger.
        """
        gone = 0
        for state in ENDS:
            for page in _pages(self._ids(state)):
                ids = [
                    status.id
                    for status in self._ledger.statuses(page)
                    if status.state == state and tenant in (None, status.tenant)
                ]
                if not ids:
                    continue
                with answering(self._redis):
                    self._redis.unlink(*(keys.JOB + id_ for id_ in ids))
                    self._redis.zrem(keys.ENDED + state, *ids)
                gone += len(ids)
        return gone

    def _cancel_all(self, ids: Iterable[str]) -> int:
        cancelled = 0
        # The lists change while jobs are taken from them, so they are read first.
        for page in _pages(iter(list(ids))):
            answers = self._ledger.scripts.run_many(self._cancel, [(id_, ENCODE) for id_ in page])
            cancelled += sum(before.decode() in PENDING for (before,) in answers)
        return cancelled

    def _ids(self, state: JobState) -> Iterator[str]:
        if state == "waiting":
            for name in self._waiting_lists():
                yield from self._list(name)
        elif state == "queued":
            for queue in QUEUES:
                yield from self._set(keys.QUEUED + queue)
        elif state == "delayed":
            yield from self._set(keys.DELAYED)
        elif state == "held":
            for name in self._held_sets():
                yield from self._set(name)
        elif state == "running":
            yield from self._set(keys.RUNNING)
        else:
            yield from self._set(keys.ENDED + state)

    def _held_sets(self) -> list[str]:
        with answering(self._redis):
            places = cast("set[bytes]", self._redis.smembers(keys.HOLDERS))
        return [keys.HELD + place.decode() for place in sorted(places)]

    def _waiting_lists(self) -> list[str]:
        with answering(self._redis):
            return [
                f"{keys.WAITING}{queue}:{tenant.decode()}"
                for queue in HOMES
                for tenant in sorted(
                    set(cast("list[bytes]", self._redis.lrange(keys.TURNS + queue, 0, -1)))
                )
            ]

    def _list(self, name: str) -> Iterator[str]:
        return self._read(partial(self._redis.lrange, name))

    def _set(self, name: str) -> Iterator[str]:
        return self._read(partial(self._redis.zrevrange, name))

    def _read(self, page: Callable[[int, int], Any]) -> Iterator[str]:
        for start in itertools.count(step=_PAGE):
            with answering(self._redis):
                members = cast("list[bytes]", page(start, start + _PAGE - 1))
            yield from (member.decode() for member in members)
            if len(members) < _PAGE:
                return


def _pages(ids: Iterator[str]) -> Iterator[list[str]]:
    while page := list(itertools.islice(ids, _PAGE)):
        yield page
