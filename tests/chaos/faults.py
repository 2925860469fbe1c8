"""What can go wrong, done on purpose."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from celery import Celery

from pixfleet.config.broker import celery_options
from pixfleet.config.contract import TASK_PREPARE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pixfleet.producer import ImageJob
    from tests.chaos.storm import Storm

_DOWN_S: Final = (0.2, 2.0)
_CUT_S: Final = (0.5, 4.0)
_FULL_S: Final = (0.5, 3.0)
_SKEWS_S: Final = (-600, -30, 30, 600)
_SKEWED_S: Final = 10.0


def _hit(storm: Storm, pids: set[int], host: str) -> dict[str, int]:
    return {
        job: fence
        for job, (owner, fence) in storm.recovery.running().items()
        if owner.rpartition(":")[0] == host and int(owner.rpartition(":")[2]) in pids
    }


def _victim(storm: Storm) -> Any:
    owners = [owner for owner, _ in storm.recovery.running().values()]
    return storm.fleet.pick(storm.chance, owners)


def kill_child(storm: Storm) -> bool:
    """kill -9 of one child, a busy one if there is one."""
    worker = _victim(storm)
    if worker is None:
        return False
    running = storm.recovery.running().values()
    children = worker.children
    busy = [pid for pid in children if (f"{worker.host}:{pid}") in {owner for owner, _ in running}]
    pid = storm.chance.choice(busy or children)
    hit = _hit(storm, {pid}, worker.host)
    os.kill(pid, signal.SIGKILL)
    storm.recovery.follow("kill -9 child", hit)
    return True


def kill_worker(storm: Storm) -> bool:
    """kill -9 of a worker's main process; its children see to themselves."""
    return _kill(storm, "kill -9 worker", whole=False)


def kill_machine(storm: Storm) -> bool:
    """kill -9 of main process and children at once, as when a machine's power goes."""
    return _kill(storm, "kill -9 machine", whole=True)


def _kill(storm: Storm, kind: str, *, whole: bool) -> bool:
    worker = _victim(storm)
    if worker is None:
        return False
    hit = _hit(storm, set(worker.children), worker.host)
    storm.fleet.tell(worker, signal.SIGKILL, whole=whole)
    storm.recovery.follow(kind, hit)
    return True


def terminate(storm: Storm) -> bool:
    """SIGTERM, as service managers send it."""
    worker = _victim(storm)
    if worker is None:
        return False
    hit = _hit(storm, set(worker.children), worker.host)
    storm.fleet.tell(worker, signal.SIGTERM)
    storm.leaving(worker, "SIGTERM: worker gone")
    storm.recovery.follow("SIGTERM", hit)
    return True


def freeze(storm: Storm) -> bool:
    """SIGSTOP of a whole worker until past its lease."""
    worker = _victim(storm)
    if worker is None:
        return False
    hit = _hit(storm, set(worker.children), worker.host)
    worker.frozen = True
    # A frozen worker may be told by its keeper to go, or find itself cut off when it wakes.
    worker.signal_all(signal.SIGSTOP)
    storm.recovery.follow("frozen worker", hit)

    def thaw() -> None:
        worker.frozen = False
        worker.signal_all(signal.SIGCONT)

    storm.last("frozen worker", storm.lease_s + storm.chance.uniform(1, 4), thaw)
    return True


def restart_valkey(storm: Storm, kind: str) -> bool:
    """It shuts down in good order and comes back."""
    return _valkey(storm, kind, storm.valkey.stop)


def kill_valkey(storm: Storm, kind: str) -> bool:
    """kill -9, after which it comes back with its append-only file."""
    return _valkey(storm, kind, storm.valkey.kill)


def _valkey(storm: Storm, kind: str, end: Callable[[], None]) -> bool:
    hit = storm.all_running()
    end()
    # At once: nobody can look at the ledger, or submit to it, while it is away.
    time.sleep(storm.chance.uniform(*_DOWN_S))
    storm.valkey.start()
    storm.recovery.follow(kind, hit, "ended")
    return True


def cut_store(storm: Storm) -> bool:
    """The network to the object store is cut."""
    return _network(storm, "store cut", storm.aws.store.cut, storm.aws.store.mend)


def slow_store(storm: Storm) -> bool:
    """The object store takes connections and says nothing."""
    return _network(storm, "store stalled", storm.aws.store.stall, storm.aws.store.mend)


def cut_queue(storm: Storm) -> bool:
    """The network to SQS is cut."""
    return _network(storm, "queue cut", storm.aws.queue.cut, storm.aws.queue.mend)


def _network(storm: Storm, kind: str, begin: Callable[[], None], mend: Callable[[], None]) -> bool:
    begin()

    def undo() -> None:
        mend()
        storm.recovery.follow(kind, storm.all_running(), "ended")

    storm.last(kind, storm.chance.uniform(*_CUT_S), undo)
    return True


def fill_disk(storm: Storm) -> bool:
    """Not a byte is free where some jobs write."""
    storm.disk.fill()
    storm.last("full disk", storm.chance.uniform(*_FULL_S), storm.disk.free)
    return True


def corrupt_memo(storm: Storm) -> bool:
    """A bit flips in some remembered blobs."""
    blobs = sorted(path for path in (storm.state / "store" / "blobs").rglob("*") if path.is_file())
    if not blobs:
        return False
    for blob in storm.chance.sample(blobs, min(len(blobs), 5)):
        try:
            data = bytearray(blob.read_bytes())
            data[storm.chance.randrange(len(data))] ^= 1
            # In place: a writer would have replaced the file.
            with blob.open("r+b") as file:
                file.write(data)
        except FileNotFoundError:
            continue
    return True


def deliver_twice(storm: Storm) -> bool:
    """Messages of some jobs, ended or not, come once more."""
    if not storm.submitted:
        return False
    jobs: list[tuple[str, ImageJob]] = list(storm.submitted.items())[-40:]
    with Celery() as app:
        app.conf.update(celery_options(storm.settings), broker_connection_timeout=2)
        for job_id, job in storm.chance.sample(jobs, min(len(jobs), 5)):
            message = job.model_dump(mode="json", exclude_defaults=True)
            app.send_task(
                TASK_PREPARE,
                args=[{**message, "schema_version": 1}],
                task_id=job_id,
                queue=job.queue,
                ignore_result=True,
            )
    return True


def skew_clock(storm: Storm) -> bool:
    """A further worker whose clock is wrong, for a while."""
    worker = storm.fleet.start_skewed(storm.clock, storm.chance.choice(_SKEWS_S))

    def end() -> None:
        if worker.alive:
            storm.fleet.tell(worker, signal.SIGTERM)
            storm.leaving(worker, "skewed worker gone")

    storm.last("clock skew", _SKEWED_S, end)
    return True


def possible(storm: Storm) -> dict[str, Callable[[Storm], bool]]:
    """The faults that this storm can bring, and by which name."""
    faults = {
        "kill -9 child": kill_child,
        "kill -9 worker": kill_worker,
        "kill -9 machine": kill_machine,
        "SIGTERM": terminate,
        "frozen worker": freeze,
        "store cut": cut_store,
        "store stalled": slow_store,
        "corrupt memo": corrupt_memo,
        "delivered twice": deliver_twice,
    }
    # On SQS the Redis is the ledger's alone.
    what = "ledger" if storm.broker == "sqs" else "broker"
    for kind, end in ((f"{what} restart", restart_valkey), (f"{what} kill -9", kill_valkey)):
        faults[kind] = partial(end, kind=kind)
    if storm.broker == "sqs":
        faults["queue cut"] = cut_queue
    if storm.disk.mounted:
        faults["full disk"] = fill_disk
    if storm.clock:
        faults["clock skew"] = skew_clock
    return faults
