"""Where jobs are queued: the broker, its queues, and what is special to SQS."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from .access import prefixed


class BrokerSettings(BaseSettings):
    """Where jobs are queued, and the Redis that keeps the ledger."""

    model_config = prefixed("")

    broker: str = Field(
        default="redis://127.0.0.1:6379/0",
        repr=False,  # its password would be shown wherever the settings are
        description="URL of the queue: redis://, rediss://, redis+socket:// or sqs://",
    )
    ledger: str = Field(
        default="",
        repr=False,
        description="URL of the Redis for ledger, results and memo index; empty: the broker's",
    )
    visibility_timeout_s: int = Field(
        default=0,
        ge=0,
        le=43_200,
        description="seconds after which an unacknowledged message is delivered again; 0: 900 on "
        "Redis, where it must be above the hard time limit, 120 on SQS, where workers renew it",
    )

    @property
    def on_sqs(self) -> bool:
        """Queues on SQS; else they are lists in Redis."""
        return self.broker.startswith("sqs:")

    @property
    def visibility_s(self) -> int:
        """``visibility_timeout_s``, or the default of the broker's kind."""
        return self.visibility_timeout_s or (120 if self.on_sqs else 900)


class SqsSettings(BaseSettings):
    """Queues on SQS; region, endpoint and credentials come from AWS's own environment."""

    model_config = prefixed("SQS_")

    prefix: str = Field(
        default="pixfleet-",
        pattern=r"^[A-Za-z0-9_-]{0,60}$",
        description="what the names of the queues begin with",
    )
    max_receives: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="deliveries after which a message goes to its dead-letter queue; above "
        "PIXFLEET_WORKER_MAX_ATTEMPTS",
    )


class QueueSettings(BaseSettings):
    """How jobs come onto the queues."""

    model_config = prefixed("QUEUE_")

    depth: int = Field(
        default=256,
        ge=20,
        description="jobs on a queue at once; the rest wait in their tenants' lists, which take "
        "turns. Above the number of children of all workers",
    )
    tenant_in_flight: int = Field(
        default=0,
        ge=0,
        description="jobs of one tenant on a queue or in work at once; 0: as many as there is "
        "room for",
    )
    max_backlog: int = Field(
        default=500_000,
        ge=0,
        description="jobs that may wait for workers (3 kB of Redis each); further ones are "
        "refused, with the time to come again; 0: no limit",
    )
