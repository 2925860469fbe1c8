"""The ledger's scripts: each one atomic, run by Redis, and told how this fleet's queues work."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config import keys

from .connection import answering

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import redis
    from redis.commands.core import Script

    from pixfleet.config.settings import QueueSettings

    Post = Callable[[str, Sequence[bytes]], None]
    """Sends envelopes to a queue that is not in Redis."""

_POST_CHUNK: Final = 10
"""Messages that SQS takes, and bills, as one request."""


class Scripts:
    """Loads scripts with what they share, and sends what they put on queues beyond Redis."""

    def __init__(self, client: redis.Redis, queues: QueueSettings, post: Post | None) -> None:
        self._redis = client
        self._post = post
        names = {name: value for name, value in vars(keys).items() if name.isupper()}
        header = [
            "local K = {" + ", ".join(f"{n} = '{v}'" for n, v in names.items()) + "}",
            f"local ON_REDIS, CHUNK = {str(post is None).lower()}, {_POST_CHUNK if post else 1}",
            f"local DEPTH, TENANT_CAP = {queues.depth}, {queues.tenant_in_flight}",
            f"local MAX_BACKLOG = {queues.max_backlog}",
            (resources.files("pixfleet.producer") / "prelude.lua").read_text(encoding="utf-8"),
        ]
        self._prelude = "\n".join(header)

    def load(self, package: str, name: str) -> Script:
        """The script ``name`` of a package."""
        text = (resources.files(package) / f"{name}.lua").read_text(encoding="utf-8")
        return self._redis.register_script(f"{self._prelude}\n{text}")

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
        """Send what the scripts left at the end of their answers."""
        messages: dict[str, list[bytes]] = {}
        for answer in answers:
            pairs = answer.pop()
            for queue, message in zip(pairs[::2], pairs[1::2], strict=True):
                messages.setdefault(queue.decode(), []).append(message)
        for queue, envelopes in messages.items():
            # Where this fails the job counts as queued, and is found by the sweeper.
            self.send(queue, envelopes)
        return list(answers)

    def send(self, queue: str, envelopes: Sequence[bytes]) -> None:
        """Put messages on a queue, wherever it is.

        Raises:
            LedgerUnavailableError: Redis did not answer.
        """
        if self._post:
            self._post(queue, envelopes)
            return
        with answering(self._redis):
            self._redis.lpush(queue, *envelopes)
