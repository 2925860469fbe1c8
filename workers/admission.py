"""Which messages of the queue become jobs: who sent them, what they hold, and under which id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pixfleet.config.contract import TASK_PREPARE, ContractError, ImageJob, read_job
from pixfleet.config.signature import NotSignedError, unseal

if TYPE_CHECKING:
    from collections.abc import Sequence

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Ids are names of folders and keys; a task's id is whatever its sender wrote."""


class MessageNotSignedError(ContractError):
    """The message is not signed, or not by a key of this fleet."""

    code: ClassVar[str] = "message_not_signed"
    hint: ClassVar[str] = (
        "give the producer the workers' PIXFLEET_QUEUE_SECRET; docs/security.md has the form for "
        "other languages"
    )


def admit(keys: Sequence[bytes], job_id: str, message: dict[str, Any]) -> ImageJob:
    """The job of a ``prepare`` message.

    Raises:
        MessageNotSignedError: keys are set and none of them signed it for this id.
        ContractError: it, or its id, does not follow the contract.
    """
    if not _ID.fullmatch(job_id):
        raise ContractError(
            "id: a task's id is 1 to 128 letters, digits, dots, dashes, underscores"
        )
    return read_job(opened(keys, TASK_PREPARE, job_id, message))


def opened(keys: Sequence[bytes], task: str, id_: str, message: dict[str, Any]) -> dict[str, Any]:
    """What was sealed for a task of this id.

    Raises:
        MessageNotSignedError: keys are set and none of them signed it.
    """
    try:
        return unseal(keys, task, id_, message)
    except NotSignedError as error:
        raise MessageNotSignedError(str(error)) from None
