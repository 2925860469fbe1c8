"""Work that was begun before the broker went away is finished, and acknowledged, after it is back.

Celery can cancel such work (``worker_cancel_long_running_tasks_on_connection_loss``) or let it go
on; but then its acknowledgement goes to a channel that is closed, so the message waits out the
visibility timeout and runs again. On Redis a message in work is an entry that any channel can
remove, so the new channel takes over what the old one had delivered. What was measured is in
docs/decisions/0009-connection-loss.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import bootsteps
from celery.worker import state
from kombu.transport import redis, virtual

if TYPE_CHECKING:
    from celery.worker.consumer import Consumer


class Adopt(bootsteps.StartStopStep):
    """Carries over, from a lost connection to the next, what was delivered and not acknowledged.

    What is in a child's hands stays there. The rest (a message whose child had not begun, or that
    waited for its time) Celery forgets when a connection is lost, so it goes back to its queue.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Consumer, **_: Any) -> None:
        super().__init__(consumer)
        self._delivered: dict[str, Any] = {}
        """messages by delivery tag, while there is no connection"""

    def stop(self, parent: Any) -> None:
        """Take over from a channel whose connection is lost; a worker that ends keeps its own."""
        channel = parent.task_consumer.channel if parent.task_consumer else None
        if parent.connection is not None or not isinstance(channel, redis.Channel):
            return
        qos: Any = channel.qos
        qos._flush()  # noqa: SLF001 (what is acknowledged is no longer delivered)
        self._delivered |= qos._delivered  # noqa: SLF001 (no public way)
        qos._delivered.clear()  # noqa: SLF001
        qos._on_collect.cancel()  # noqa: SLF001 (it would restore them when this process ends)

    def start(self, parent: Any) -> None:
        """A connection stands, and nothing has been consumed from it yet."""
        channel = parent.task_consumer.channel
        for request in tuple(state.active_requests):
            message = request.message
            if self._delivered.pop(message.delivery_tag, None) is not None:
                message.channel = channel
                # Counted as delivered, but not written: its entry is still there.
                virtual.QoS.append(channel.qos, message, message.delivery_tag)
        while self._delivered:
            tag = next(iter(self._delivered))
            channel.qos.restore_by_tag(tag)
            del self._delivered[tag]
