"""Messages to SQS, up to ten a request."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config.prices import load_prices

from .billed import PIECE_BYTES, sqs_requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pixfleet.config.queue_settings import SqsSettings
    from pixfleet.config.settings import Settings

    from .scripts import Post

MAX_MESSAGE_BYTES: Final = PIECE_BYTES
_MAX_ENTRIES: Final = 10
_MAX_REQUEST_BYTES: Final = 262_144
_ROUNDS: Final = 6
_FIRST_PAUSE_S: Final = 0.1


class SqsUnavailableError(ConnectionError):
    """SQS did not do what it was asked; says why and how to mend it."""


class QueueMissingError(SqsUnavailableError):
    """A queue does not exist in this account and region."""


class MessageTooLargeError(ValueError):
    """A job's message is larger than a queue takes; nothing was queued."""


def missing(name: str) -> str:
    """What to say of a queue that does not exist."""
    return (
        f"SQS: the queue {name} does not exist in this account and region; "
        "make it: pixfleet queues create"
    )


def check_size(message: bytes, job: str) -> None:
    """Refuse what SQS would bill as several requests.

    Raises:
        MessageTooLargeError: with the size, the limit and the mend.
    """
    if len(message) > MAX_MESSAGE_BYTES:
        raise MessageTooLargeError(
            f"the message of {job} is {len(message):,} bytes, above the limit of "
            f"{MAX_MESSAGE_BYTES:,} on SQS; its recipe is too large to travel along: put the "
            "recipe's file on the workers (PIXFLEET_RECIPES_FOLDER) and name it"
        )


class SqsSender:
    """Sends envelopes in as few requests as their sizes allow."""

    def __init__(self, settings: SqsSettings, client: Any = None) -> None:
        # Here, because boto3 takes 0.2 s to import, which only a fleet on SQS should pay.
        from .aws import answering_sqs, connect_sqs  # noqa: PLC0415

        self._prefix = settings.prefix
        self._answering = answering_sqs
        self._client = client or connect_sqs()
        self._urls: dict[str, str] = {}

    def send(self, queue: str, envelopes: Sequence[bytes]) -> None:
        """Send Celery's envelopes as they are: kombu reads JSON with and without base64 around it.

        A message may be sent twice when an answer is lost, as on any SQS queue.

        Raises:
            SqsUnavailableError: SQS refused, or some were not taken in several rounds.
        """
        if envelopes:
            self.send_bodies(self.url(self._prefix + queue), [m.decode() for m in envelopes])

    def url(self, name: str) -> str:
        """A queue's URL, asked for once.

        Raises:
            QueueMissingError: there is no such queue.
        """
        if name not in self._urls:
            try:
                with self._answering():
                    self._urls[name] = self._client.get_queue_url(QueueName=name)["QueueUrl"]
            except QueueMissingError:
                raise QueueMissingError(missing(name)) from None
        return self._urls[name]

    def send_bodies(self, url: str, bodies: Sequence[str]) -> None:
        """Send message bodies to the queue at ``url``; see ``send``."""
        for chunk in _requests(bodies):
            entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(chunk)]
            failed: dict[str, Any] = {}
            pause_s = _FIRST_PAUSE_S
            for _ in range(_ROUNDS):
                with self._answering():
                    answer = self._client.send_message_batch(QueueUrl=url, Entries=entries)
                failed = {entry["Id"]: entry for entry in answer.get("Failed", [])}
                entries = [entry for entry in entries if entry["Id"] in failed]
                if not entries:
                    break
                if any(entry["SenderFault"] for entry in failed.values()):
                    break
                time.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 (jitter)
                pause_s *= 2
            if entries:
                fault = failed[entries[0]["Id"]]
                raise SqsUnavailableError(
                    f"SQS did not take {len(entries)} messages: "
                    f"{fault['Code']}: {fault.get('Message', '')}"
                )


def post_of(settings: Settings) -> Post | None:
    """What sends envelopes to the settings' queues; None where they are in Redis.

    Raises:
        SqsUnavailableError: there is no region.
        PriceError: the price book does not have a request to SQS.
    """
    if not settings.broker.on_sqs:
        return None
    sqs_requests.usd = load_prices(settings.money.book).request_usd("sqs_request")
    return SqsSender(settings.sqs).send


def _requests(bodies: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for body in bodies:
        length = len(body.encode())
        if chunk and (len(chunk) == _MAX_ENTRIES or size + length > _MAX_REQUEST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(body)
        size += length
    if chunk:
        yield chunk
