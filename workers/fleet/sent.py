"""What a step was told, as whoever reads its message without checking it: logs, lost children."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config.contract import TASK_PREPARE
from pixfleet.config.signature import NotSignedError, unseal

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST: Final = 128
"""Characters of a fact: a stranger's message may say anything."""


def sent_to(arguments: Sequence[Any]) -> dict[str, Any]:
    """The message of a step, which it has as its last argument; {}: none of ours."""
    message: Any = next(reversed(arguments), None)
    if isinstance(message, dict):
        with contextlib.suppress(NotSignedError, RecursionError):  # no JSON of ours
            return unseal((), "", "", message)
    return {}


def facts_of(task: str, task_id: str, sent: dict[str, Any]) -> dict[str, Any]:
    """By which logs and traces know a step: task, job_id or batch, tenant, attempt, variant."""
    job = sent.get("job", sent if task == TASK_PREPARE else {})
    known: dict[str, Any] = {
        "job_id": task_id if task == TASK_PREPARE else sent.get("job_id"),
        "batch": sent.get("batch") if task != TASK_PREPARE else None,
        "tenant": job.get("tenant", "default") if isinstance(job, dict) and job else None,
        "variant": sent.get("variant"),
    }
    facts = {name: str(value)[:_LONGEST] for name, value in known.items() if value}
    attempt = sent.get("attempt")
    return {"task": task, **facts, **({"attempt": attempt} if isinstance(attempt, int) else {})}
