"""How a worker's processes come back to a broker that was away.

kombu 5.7.0 has a hole here: when a Redis broker goes while one child is busy and another is free,
closing the connection stops half-way (the pending BRPOP answers with the connection's error), so
that it is closed once more when its transport is already taken apart. The channel then looks for
the address of the broker in a connection that is None, and an AttributeError is no connection
error: it passes every handler, and the worker exits with code 1. So does the acknowledgement of a
message whose channel is closed.
"""

from __future__ import annotations

import math
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

from celery.app.amqp import AMQP
from celery.worker.state import maybe_shutdown
from kombu.connection import Connection
from kombu.transport import redis
from redis.exceptions import ResponseError

from pixfleet.producer.backoff import JitteredBackoff
from pixfleet.producer.connection import refuse_cluster

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_S: Final = 0.5
MOST_S: Final = 15.0
_LOOK_S: Final = 0.5
"""How often a waiting worker looks whether it was told to go."""


class ClosedChannelError(ConnectionError):
    """A channel was used after its connection was closed."""


class MendedChannel(redis.Channel):
    """kombu's, but a closed channel fails as a lost connection does, and a cluster at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        with suppress(ResponseError):  # a user who may not ask
            refuse_cluster(f"cluster_enabled:{self.client.info('cluster').get('cluster_enabled')}")

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 (inherited)
        try:
            return super()._connparams(asynchronous)
        except AttributeError:
            if self.connection is not None and self.connection.client is not None:
                raise
            raise ClosedChannelError("the channel's connection is closed") from None


class MendedTransport(redis.Transport):
    """kombu's Redis transport, with channels that may be closed twice."""

    Channel = MendedChannel


class PatientConnection(Connection):
    """Tries for ever, with pauses that double and differ from worker to worker."""

    def get_transport_cls(self) -> type:
        """The mended transport in place of the very one that needs it; no other."""
        found: Any = super().get_transport_cls()
        return MendedTransport if found is redis.Transport else found

    def collect(self, socket_timeout: float | None = None) -> None:
        """The connection is lost; what its channels had delivered, ``Adopt`` gives to the next."""
        if isinstance(self._transport, MendedTransport):
            channels: Any = self._transport.channels
            for channel in channels:
                channel.do_restore = False
        super().collect(socket_timeout)

    def _ensure_connection(  # noqa: PLR0917 (kombu's signature)
        self,
        errback: Callable[[Exception, float], object] | None = None,
        max_retries: int | None = None,
        interval_start: float = 0,  # noqa: ARG002 (the pauses are ours)
        interval_step: float = 0,  # noqa: ARG002
        interval_max: float = 0,  # noqa: ARG002
        callback: Callable[[], object] | None = None,
        reraise_as_library_errors: bool = True,  # noqa: FBT001, FBT002
        timeout: float | None = None,
    ) -> Any:
        """What everything that needs a connection calls, public names and publishing included.

        A worker that is told to go while it waits goes: ``WorkerShutdown`` leaves the wait.
        """
        backoff = JitteredBackoff(FIRST_S, MOST_S)
        end_s = time.monotonic() + timeout if timeout else math.inf
        failures = 0
        with self._reraise_as_library_errors() if reraise_as_library_errors else nullcontext():
            while True:
                try:
                    return super()._ensure_connection(
                        max_retries=0, reraise_as_library_errors=False
                    )
                except self.recoverable_connection_errors as error:
                    failures += 1
                    spent = max_retries is not None and failures > max_retries
                    if spent or time.monotonic() > end_s:
                        raise
                    pause_s = backoff.compute(failures)
                    if errback:
                        errback(error, pause_s)
                    _wait(pause_s, callback or maybe_shutdown)


def _wait(pause_s: float, look: Callable[[], object]) -> None:
    end_s = time.monotonic() + pause_s
    while (left_s := end_s - time.monotonic()) > 0:
        look()
        time.sleep(min(left_s, _LOOK_S))


class PatientAMQP(AMQP):
    """What an app makes its connections with."""

    Connection = PatientConnection
