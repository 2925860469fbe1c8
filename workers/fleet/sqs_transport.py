"""kombu's SQS transport, with what a fleet misses in it (kombu 5.7).

- It makes queues that do not exist, without a dead-letter queue, and lists all queues of the
  account. Here a queue has to exist, and only the right to use it is needed.
- Every queue has its own open poll, so an empty queue delays no other; but all are equal. Here a
  queue is polled only when those that are preferred to it were found empty.
- A poll has no time limit: one connection that died silently makes a worker deaf for its queue. An
  answer other than 200 raises in the event loop and ends the worker.
- What a worker gives back stays hidden for another 20 s.
- Nothing renews a message's visibility.
"""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import pycurl
import structlog
from botocore.exceptions import ClientError
from kombu.asynchronous.aws.sqs.connection import AsyncSQSConnection
from kombu.asynchronous.http.curl import CurlClient
from kombu.transport import SQS

from pixfleet.config.queues import QUEUES, SQS_WAIT_S
from pixfleet.producer.aws import answering_sqs
from pixfleet.producer.billed import sqs_requests

_CONNECT_S: Final = 5
_ANSWER_S: Final = SQS_WAIT_S + 10
_EMPTY_S: Final = 0.25
"""A poll that is open for this long has found its queue empty."""
_LOOK_AGAIN_S: Final = 0.05
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 20.0
_BATCH: Final = 10
_log = structlog.get_logger(__name__)


class TimedCurl(CurlClient):
    """Gives up on a server that is silent."""

    def _setup_request(self, curl: Any, *args: Any, **kwargs: Any) -> None:
        super()._setup_request(curl, *args, **kwargs)
        curl.setopt(pycurl.CONNECTTIMEOUT, _CONNECT_S)
        curl.setopt(pycurl.TIMEOUT, _ANSWER_S)


class PollConnection(AsyncSQSConnection):
    """A poll that fails is an answer, not the end of the worker; every request is counted."""

    def make_request(self, *args: Any, **kwargs: Any) -> Any:
        """As kombu's."""
        sqs_requests.add()
        return super().make_request(*args, **kwargs)

    def _on_list_ready(self, parent: Any, markers: Any, operation: str, response: Any) -> Any:
        with contextlib.suppress(AttributeError, TypeError):  # one that never came has no body
            sqs_requests.add_answer(len(response.response.body))
        try:
            answer = super()._on_list_ready(parent, markers, operation, response)
        except Exception as error:  # noqa: BLE001 (kombu raises nothing more special)
            said = str(error)
        else:
            if response.status == self.STATUS_CODE_OK:
                return answer
            said = f"HTTP {response.status} {response.reason}"
        return {"failed": said[:300]}


@dataclass(slots=True)
class _Poll:
    """What is known of a queue from its polls."""

    open_since_s: float | None = None
    found: bool = False
    """the last answer held messages"""
    failures: int = 0
    not_before_s: float = 0.0


class Channel(SQS.Channel):
    """A channel whose messages can be renewed, from any thread."""

    # Untyped in kombu.
    hub: Any
    qos: Any
    _asynsqs: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._http_client: TimedCurl | None = None
        self._polls: defaultdict[str, _Poll] = defaultdict(_Poll)
        self._settling = threading.Lock()

    def renew_visibility(self, timeout_s: int) -> int:
        """Hide what is delivered and not acknowledged for another ``timeout_s``; how many.

        Raises:
            SqsUnavailableError: SQS did not answer.
        """
        renewed = 0
        # So that nothing that is being given back is hidden again.
        with self._settling:
            by_queue: defaultdict[str, list[str]] = defaultdict(list)
            for tag, message in self._unacknowledged():
                by_queue[message.delivery_info["sqs_queue"]].append(tag)
            for url, tags in by_queue.items():
                for start in range(0, len(tags), _BATCH):
                    entries = [
                        {"Id": str(i), "ReceiptHandle": tag, "VisibilityTimeout": timeout_s}
                        for i, tag in enumerate(tags[start : start + _BATCH])
                    ]
                    with answering_sqs():
                        answer = self.sqs().change_message_visibility_batch(
                            QueueUrl=url, Entries=entries
                        )
                    # Refused are those that were acknowledged in this moment.
                    renewed += len(answer.get("Successful", ()))
        return renewed

    def _unacknowledged(self) -> list[tuple[str, Any]]:
        while True:
            try:
                delivered = list(self.qos._delivered.items())  # noqa: SLF001 (no public way)
            except RuntimeError:  # it changed meanwhile
                continue
            dirty = self.qos._dirty  # noqa: SLF001
            return [(tag, message) for tag, message in delivered if tag not in dirty]

    def sqs(self, queue: str | None = None) -> Any:
        """As kombu's, with its requests counted."""
        return sqs_requests.watch(super().sqs(queue))

    def asynsqs(self, queue: str | None = None) -> AsyncSQSConnection:
        """As kombu's, with time limits and answers for failures."""
        if self._asynsqs is None:
            self._http_client = TimedCurl(self.hub)
            names = self.get_message_attributes
            self._asynsqs = PollConnection(
                sqs_connection=self.sqs(queue=queue),
                region=self.region,
                http_client=self._http_client,
                message_system_attribute_names=names.get("MessageSystemAttributeNames"),
                message_attribute_names=names.get("MessageAttributeNames"),
            )
        return self._asynsqs

    def basic_cancel(self, consumer_tag: str) -> None:
        """As kombu's; with the last one the open polls end.

        They would get what this worker gives back a moment later, and take it to its grave.
        """
        super().basic_cancel(consumer_tag)
        if not self._consumers and self._http_client:
            self._http_client.close()
            self._http_client = self._asynsqs = None

    def _update_queue_cache(self, queue_name_prefix: str) -> None:
        if queue_name_prefix == self.queue_name_prefix:
            return  # at the start kombu lists every queue; each is asked for when it is needed
        with answering_sqs():
            answer = self.sqs().get_queue_url(QueueName=queue_name_prefix)
        self._queue_cache[queue_name_prefix] = answer["QueueUrl"]

    def _schedule_queue(self, queue: str) -> None:
        if queue in self._active_queues and (wait_s := self._wait_s(queue)):
            self.hub.call_later(wait_s, self._schedule_queue, queue)
        else:
            super()._schedule_queue(queue)

    def _wait_s(self, queue: str) -> float:
        now = time.monotonic()
        if now < self._polls[queue].not_before_s:
            return self._polls[queue].not_before_s - now
        for preferred in QUEUES[: QUEUES.index(queue)]:
            poll = self._polls[preferred]
            answered = poll.open_since_s is None or now - poll.open_since_s < _EMPTY_S
            if preferred in self._active_queues and poll.found and answered:
                return _LOOK_AGAIN_S
        return 0.0

    def _get_message_estimate(self, max_if_unlimited: int = SQS.SQS_MAX_MESSAGES) -> int:
        # All polls together ask for no more than there are free children, one each at least.
        free = super()._get_message_estimate(max_if_unlimited)
        return math.ceil(free / max(1, len(self._active_queues)))

    def _get_async(self, queue: str, count: int = 1, callback: Any = None) -> Any:
        self._polls[queue].open_since_s = time.monotonic()
        return super()._get_async(queue, count, callback)

    def _on_messages_ready(self, queue: str, qname: str, messages: dict[str, Any]) -> int:
        poll = self._polls[qname]
        poll.open_since_s = None
        poll.found = bool(messages.get("Messages"))
        if said := messages.get("failed"):
            pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**poll.failures)
            pause_s *= random.uniform(0.5, 1.5)  # noqa: S311 (jitter)
            poll.failures += 1
            poll.not_before_s = time.monotonic() + pause_s
            _log.warning("sqs.poll_failed", queue=qname, said=said, pause_s=round(pause_s, 1))
        else:
            poll.failures = 0
        return super()._on_messages_ready(queue, qname, messages)

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        if not message.get("redelivered"):
            super()._put(queue, message, **kwargs)
            return
        tag = message["properties"]["delivery_tag"]
        with self._settling:
            self.qos.ack(tag)  # of what is delivered; SQS keeps the message
            try:
                self.sqs().change_message_visibility(
                    QueueUrl=self._new_queue(queue), ReceiptHandle=tag, VisibilityTimeout=0
                )
            except ClientError as error:  # its time was up: it is visible already
                _log.warning("sqs.not_given_back", queue=queue, error=str(error))


class Transport(SQS.Transport):
    """The transport of workers whose queues are on SQS."""

    Channel = Channel
