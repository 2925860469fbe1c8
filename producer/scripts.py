"""The ledger's scripts: each one atomic, run by Redis, and told how this fleet's queues work."""

from __future__ import annotations

import logging
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config import keys
from pixfleet.config.prices import to_nano
from pixfleet.config.queues import INTERACTIVE

from .billed import sqs_requests
from .connection import LedgerUnavailableError, answering

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis
    from redis.commands.core import Script

    from pixfleet.config.queue_settings import QueueSettings

    Post = Callable[[str, Sequence[bytes]], None]
    """Sends envelopes to a queue that is not in Redis."""

_log = logging.getLogger(__name__)
_PARTS: Final = ("clock", "seen", "budgets", "charge", "turns")
"""What scripts share, each part in terms of those before it."""
_POST_CHUNK: Final = 10
"""Messages that SQS takes, and bills, as one request."""


class Scripts:
    """Loads scripts with what they share, and sends what they put on queues beyond Redis."""

    def __init__(self, client: redis.Redis, queues: QueueSettings, post: Post | None) -> None:
        self._redis = client
        self._post = post
        names = {
            name: value
            for name, value in vars(keys).items()
            if isinstance(value, str) and name.isupper()
        }
        header = [
            "local K = {" + ", ".join(f"{n} = '{v}'" for n, v in names.items()) + "}",
            f"local ON_REDIS, CHUNK = {str(post is None).lower()}, {_POST_CHUNK if post else 1}",
            f"local DEPTH, TENANT_CAP = {queues.depth}, {queues.tenant_in_flight}",
            f"local MAX_BACKLOG, INTERACTIVE = {queues.max_backlog}, '{INTERACTIVE}'",
            *(_text("pixfleet.producer", f"prelude_{part}") for part in _PARTS),
        ]
        self._prelude = "\n".join(header)
        self._account = self.load("pixfleet.producer", "account")

    def load(self, package: str, name: str) -> Script:
        """The script ``name`` of a package."""
        return self._redis.register_script(f"{self._prelude}\n{_text(package, name)}")

    def ask(self, script: Script, *arguments: Any) -> Any:
        """Run one script that puts nothing on a queue; its answer.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        with answering(self._redis):
            return script(args=list(arguments))

    def run(self, script: Script, *arguments: Any) -> list[Any]:
        """Run one script; its answer without the messages, which are sent.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        return self._send_off([self.ask(script, *arguments)])[0]

    def run_many(self, script: Script, calls: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """The same for many calls of a script in one round trip.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        with answering(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            for arguments in calls:
                script(args=list(arguments), client=pipe)
            answers = pipe.execute()
        return self._send_off(answers)

    def _send_off(self, answers: Sequence[list[Any]]) -> list[list[Any]]:
        """Send what the scripts left at the end of their answers.

        What a queue does not take now is accepted all the same: the sweeper sends it.
        """
        messages: dict[str, dict[str, bytes]] = {}
        for answer in answers:
            sent = answer.pop()
            for queue, job_id, message in zip(sent[::3], sent[1::3], sent[2::3], strict=True):
                messages.setdefault(queue.decode(), {})[job_id.decode()] = message
        for queue, by_id in messages.items():
            try:
                self.send(queue, list(by_id.values()))
            except ConnectionError as error:
                _log.warning("%s messages for %s are sent later: %s", len(by_id), queue, error)
                with answering(self._redis):
                    self._redis.zadd(keys.QUEUED + queue, dict.fromkeys(by_id, 0))
        return list(answers)

    def send(self, queue: str, envelopes: Sequence[bytes]) -> None:
        """Put messages on a queue, wherever it is.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        if self._post:
            try:
                self._post(queue, envelopes)
            finally:
                self.tell_requests()
            return
        with answering(self._redis):
            self._redis.lpush(queue, *envelopes)

    def tell_requests(self) -> None:
        """Have the fleet charged for what this process has asked of SQS, if it is any more.

        A ledger that is away hears it the next time.
        """
        count = sqs_requests.count
        if count != sqs_requests.said:
            with suppress(LedgerUnavailableError):
                nano = to_nano(sqs_requests.usd * count)
                self.ask(self._account, sqs_requests.name, "sqs_request", nano)
                sqs_requests.said = count


def _text(package: str, name: str) -> str:
    return (resources.files(package) / f"{name}.lua").read_text(encoding="utf-8")
