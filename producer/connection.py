"""The connection to the ledger's Redis, and one clear error when it is away."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from pixfleet.config.settings import SettingsError

from .backoff import JitteredBackoff

if TYPE_CHECKING:
    from collections.abc import Generator


class LedgerUnavailableError(ConnectionError):
    """The ledger's Redis did not answer; says which, without its password."""


def persistence(*, for_ever: bool) -> dict[str, Any]:
    """Options of a Redis client: a lost connection is retried three times, or until it is back.

    For ever is for who holds work that would be lost: each pause is at most 15 s.
    """
    backoff = JitteredBackoff(0.1, 15) if for_ever else JitteredBackoff(0.05, 1)
    return {
        "retry": Retry(backoff, -1 if for_ever else 3),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
    }


def connect(url: str, *, for_ever: bool = False) -> redis.Redis:
    """A client that retries a broken connection, with jitter: three times or ``for_ever``.

    Raises:
        SettingsError: the URL is not one of a Redis.
    """
    try:
        return redis.Redis.from_url(  # pyright: ignore[reportReturnType] (async overload)
            url,
            **persistence(for_ever=for_ever),
            socket_connect_timeout=5,
            socket_timeout=10,
            health_check_interval=30,
            redis_connect_func=_greet,
        )
    except ValueError:  # not repeated: it may hold a password
        raise SettingsError(
            "the broker's URL (--broker, PIXFLEET_BROKER or PIXFLEET_LEDGER) is not one of a "
            "Redis: redis://host:6379/0, rediss:// for TLS, redis+socket:///path?virtual_host=0"
        ) from None


def redis_now(client: redis.Redis) -> dt.datetime:
    """Now by Redis' clock, by which sums are kept; UTC.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """
    with answering(client):
        seconds, micros = client.time()
    return dt.datetime.fromtimestamp(seconds, dt.UTC) + dt.timedelta(microseconds=micros)


def refuse_cluster(answer: str) -> None:
    """Look at what ``INFO cluster`` answered.

    Raises:
        SettingsError: the server is a node of a cluster.
    """
    if "cluster_enabled:1" in answer:
        raise SettingsError(
            "this Redis is a node of a cluster (cluster-enabled yes), which pixfleet does not "
            "support: its ledger moves many keys in one step, and a queue is read with others at "
            "once. Name a Redis that is none; a replica for failover is fine"
        )


def _greet(connection: Any) -> None:
    """On every new connection: what Redis needs to hear first, and is it one that will do."""
    connection.on_connect()
    connection.send_command("INFO", "cluster")
    try:
        answer = connection.read_response()
    except ResponseError:  # a user who may not ask
        return
    refuse_cluster(answer if isinstance(answer, str) else bytes(answer).decode())


@contextmanager
def answering(client: redis.Redis) -> Generator[None]:
    """Translate a Redis that is away into one clear error.

    Raises:
        LedgerUnavailableError: with the address, without user or password.
    """
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError) as error:
        where = client.connection_pool.connection_kwargs
        address = where.get("path") or f"{where.get('host')}:{where.get('port')}"
        raise LedgerUnavailableError(
            f"no answer from Redis at {address}: {error}; is the broker running? "
            "`pixfleet up` starts an embedded one, PIXFLEET_BROKER names another"
        ) from None
    except RedisError as error:
        raise LedgerUnavailableError(f"Redis refused: {error}") from error
