"""A fleet's queues on SQS: made, compared with what they should be, looked into, dead ones revived.

Every queue has a dead-letter queue beside it, ``<name>-dead``, for messages that were delivered
again and again and never acknowledged. The ledger is what is true of a job; a message only wakes a
worker, so one too many is harmless and one too few is sent again by the sweeper.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from pixfleet.config.contract import TASK_PREPARE
from pixfleet.config.queues import QUEUES, SQS_WAIT_S

from .aws import answering_sqs, connect_sqs, error_code
from .sqs import QueueMissingError, SqsSender, SqsUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pixfleet.config.settings import Settings

DEAD: Final = "-dead"
_RETENTION_S: Final = 14 * 86_400
_LOOK_S: Final = 30
"""Seconds that a dead message is hidden while it is looked at or moved."""
_PAGE: Final = 10


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute of one queue that is, or was, not as it should be."""

    queue: str
    """its name on SQS"""
    attribute: str
    """``exists`` for the queue as a whole"""
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Depth:
    """What lies on one queue; on SQS the counts are approximate."""

    queue: str
    waiting: int
    in_flight: int | None
    """delivered and not yet acknowledged; None where the broker keeps no such count by queue"""
    delayed: int | None
    dead: int | None


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """One message on a dead-letter queue."""

    queue: str
    """where it came from, and where a replay puts it"""
    message_id: str
    job_id: str
    """empty when the message is none of pixfleet's"""
    task: str
    age_s: float
    """since it was first sent"""
    receives: int


class SqsQueues:
    """The queues of config/queues.py on SQS."""

    def __init__(self, settings: Settings) -> None:
        self._prefix = settings.sqs.prefix
        self._max_receives = settings.sqs.max_receives
        self._visibility_s = settings.broker.visibility_s
        self._client = connect_sqs()
        self._sender = SqsSender(settings.sqs, self._client)

    def create(self) -> list[Change]:
        """Make what is missing and set what differs; the answer is what that was.

        Raises:
            SqsUnavailableError: SQS refused.
        """
        changes: list[Change] = []
        for queue in QUEUES:
            dead = f"{self._prefix}{queue}{DEAD}"
            changes += self._bring(dead, _dead_attributes())
            changes += self._bring(f"{self._prefix}{queue}", self._attributes(self._arn(dead)))
        return changes

    def differences(self) -> list[Change]:
        """What `create` would change.

        Raises:
            SqsUnavailableError: SQS refused.
        """
        found: list[Change] = []
        for queue in QUEUES:
            dead, live = f"{self._prefix}{queue}{DEAD}", f"{self._prefix}{queue}"
            try:
                arn = self._arn(dead)
            except QueueMissingError:
                found.append(Change(dead, "exists", "no", "yes"))
                arn = ""
            else:
                found += _compare(dead, self._read(dead), _dead_attributes())
            try:
                found += _compare(live, self._read(live), self._attributes(arn))
            except QueueMissingError:
                found.append(Change(live, "exists", "no", "yes"))
        return found

    def depths(self) -> list[Depth]:
        """How many messages lie where.

        Raises:
            QueueMissingError: a queue or its dead-letter queue does not exist.
            SqsUnavailableError: SQS refused.
        """
        depths: list[Depth] = []
        for queue in QUEUES:
            live = self._read(f"{self._prefix}{queue}")
            dead = self._read(f"{self._prefix}{queue}{DEAD}")
            count = {name: int(live[f"ApproximateNumberOfMessages{name}"]) for name in _COUNTS}
            depths.append(
                Depth(
                    queue,
                    waiting=count[""],
                    in_flight=count["NotVisible"],
                    delayed=count["Delayed"],
                    dead=int(dead["ApproximateNumberOfMessages"]),
                )
            )
        return depths

    def dead(self, queue: str, limit: int) -> list[DeadMessage]:
        """Look at up to ``limit`` dead messages of a queue, and let all of them lie there.

        Raises:
            SqsUnavailableError: SQS refused.
        """
        url = self._sender.url(f"{self._prefix}{queue}{DEAD}")
        seen: list[dict[str, Any]] = []
        try:
            for page in self._pages(url, limit):
                seen += page
        finally:
            for start in range(0, len(seen), _PAGE):
                self._show_again(url, seen[start : start + _PAGE])
        return [_dead_message(queue, message) for message in seen]

    def replay(self, queue: str, limit: int) -> int:
        """Move up to ``limit`` dead messages back to their queue; the answer is how many went.

        A message is deleted only after it was sent: an end between the two doubles it.

        Raises:
            SqsUnavailableError: SQS refused.
        """
        source = self._sender.url(f"{self._prefix}{queue}{DEAD}")
        target = self._sender.url(f"{self._prefix}{queue}")
        moved = 0
        for page in self._pages(source, limit):
            self._sender.send_bodies(target, [message["Body"] for message in page])
            with answering_sqs():
                answer = self._client.delete_message_batch(QueueUrl=source, Entries=_entries(page))
            if left := answer.get("Failed"):
                raise SqsUnavailableError(
                    f"SQS: {len(left)} messages went back to {queue} but are still dead too "
                    f"({left[0]['Code']}); replaying them again does no harm"
                )
            moved += len(page)
        return moved

    def _pages(self, url: str, limit: int) -> Iterator[list[dict[str, Any]]]:
        """Different messages of a queue, hidden for a while, until none is left."""
        seen: set[str] = set()
        while len(seen) < limit:
            with answering_sqs():
                answer = self._client.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=min(_PAGE, limit - len(seen)),
                    VisibilityTimeout=_LOOK_S,
                    WaitTimeSeconds=1,
                    MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                )
            page = [m for m in answer.get("Messages", []) if m["MessageId"] not in seen]
            if not page:
                return
            seen.update(message["MessageId"] for message in page)
            yield page

    def _show_again(self, url: str, page: list[dict[str, Any]]) -> None:
        entries = [{**entry, "VisibilityTimeout": 0} for entry in _entries(page)]
        with answering_sqs():
            self._client.change_message_visibility_batch(QueueUrl=url, Entries=entries)

    def _attributes(self, dead_arn: str) -> dict[str, str]:
        redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": self._max_receives}
        return {
            "VisibilityTimeout": str(self._visibility_s),
            "ReceiveMessageWaitTimeSeconds": str(SQS_WAIT_S),
            "MessageRetentionPeriod": str(_RETENTION_S),
            "SqsManagedSseEnabled": "true",
            "RedrivePolicy": json.dumps(redrive),
        }

    def _bring(self, name: str, wanted: Mapping[str, str]) -> list[Change]:
        try:
            changes = _compare(name, self._read(name), wanted)
        except QueueMissingError:
            self._make(name, wanted)
            return [Change(name, "exists", "no", "yes")]
        if changes:
            values = {change.attribute: wanted[change.attribute] for change in changes}
            with answering_sqs():
                url = self._sender.url(name)
                self._client.set_queue_attributes(QueueUrl=url, Attributes=values)
        return changes

    def _make(self, name: str, wanted: Mapping[str, str]) -> None:
        with answering_sqs():
            try:
                self._client.create_queue(QueueName=name, Attributes=dict(wanted))
            except ClientError as error:
                if error_code(error).endswith("QueueDeletedRecently"):
                    raise SqsUnavailableError(
                        f"SQS: {name} was deleted a moment ago; its name is free again after 60 s"
                    ) from None
                raise

    def _read(self, name: str) -> dict[str, str]:
        with answering_sqs():
            answer = self._client.get_queue_attributes(
                QueueUrl=self._sender.url(name), AttributeNames=["All"]
            )
        return answer["Attributes"]

    def _arn(self, name: str) -> str:
        return self._read(name)["QueueArn"]


_COUNTS: Final = ("", "NotVisible", "Delayed")


def _dead_attributes() -> dict[str, str]:
    return {"MessageRetentionPeriod": str(_RETENTION_S), "SqsManagedSseEnabled": "true"}


def _compare(name: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> list[Change]:
    changes: list[Change] = []
    for attribute, value in wanted.items():
        has = found.get(attribute, "")
        if attribute == "SqsManagedSseEnabled" and "KmsMasterKeyId" in found:
            continue  # encrypted with a key of the owner's
        if attribute == "RedrivePolicy" and has:
            # AWS answers with its own spacing and order.
            same = _redrive(has) == _redrive(value)
        else:
            same = has == value
        if not same:
            changes.append(Change(name, attribute, has or "(none)", value))
    return changes


def _redrive(policy: str) -> tuple[str, int]:
    read = json.loads(policy)
    return read["deadLetterTargetArn"], int(read["maxReceiveCount"])


def _entries(page: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
        for index, message in enumerate(page)
    ]


def _dead_message(queue: str, message: Mapping[str, Any]) -> DeadMessage:
    task, job_id = _task_and_job(message["Body"])
    attributes = message["Attributes"]
    return DeadMessage(
        queue=queue,
        message_id=message["MessageId"],
        job_id=job_id,
        task=task,
        age_s=round(time.time() - int(attributes["SentTimestamp"]) / 1000, 1),
        receives=int(attributes["ApproximateReceiveCount"]),
    )


def _task_and_job(body: str) -> tuple[str, str]:
    """Of a Celery envelope, as we send it or in kombu's base64; two empty strings otherwise."""
    try:
        text = body if body.lstrip().startswith("{") else base64.b64decode(body)
        headers = json.loads(text)["headers"]
        argument = json.loads(base64.b64decode(json.loads(text)["body"]))[0][-1]
        inner = argument if "job_id" in argument else argument.get("draft", {})
        # The first step's task id is the job's.
        own = headers["id"] if headers["task"] == TASK_PREPARE else ""
        return headers["task"], inner.get("job_id", own)
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", ""
