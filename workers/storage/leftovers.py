"""What killed processes leave in a store: files half written, and pixels parked for nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from .objects import ObjectStore

WORK: Final = "work"
"""Folder of a store with the work files of jobs, each below its job's id."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed."""

    parts: int
    """files that a killed process was writing"""
    parked: int
    """work files of jobs that have ended or that nobody knows"""


def sweep_leftovers(
    store: ObjectStore, older_than_s: float, is_ended: Callable[[str], bool]
) -> Swept:
    """Remove half-written files untouched for ``older_than_s``, and the work of ended jobs.

    ``is_ended`` is asked once a job, with its id, and says True for an unknown one, too. Works on
    a job's output as well as on the fleet's store; may run in several processes at once.

    Raises:
        OutputError, StoreUnavailableError: as ``ObjectStore.list`` and ``delete``.
    """
    parts = store.delete_parts(older_than_s)
    parked = 0
    ended: dict[str, bool] = {}
    for key, _ in list(store.list(WORK)):
        job_id = key.split("/")[1]
        if job_id not in ended:
            ended[job_id] = is_ended(job_id)
        if ended[job_id]:
            store.delete(key)
            parked += 1
    return Swept(parts, parked)
