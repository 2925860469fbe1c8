"""Messages on SQS."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pixfleet.config.settings import Settings

    from .scripts import Post


def post_of(settings: Settings) -> Post | None:
    """What sends to the settings' queues; None where they are in Redis."""
    if not settings.broker.broker.startswith("sqs:"):
        return None
    raise NotImplementedError
