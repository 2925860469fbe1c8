"""A look at the ledger, wherever it is: on the broker that is named, runs here, or ran here."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pixfleet.config.state import running_broker, state_dir
from pixfleet.producer.client import Producer

from .embedded import EmbeddedBroker

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pixfleet.producer.ledger import Ledger


@contextmanager
def ledger_at(broker: str | None, state: Path | None = None) -> Generator[Ledger]:
    """The ledger of ``broker``, else of the embedded broker of ``state``.

    Where neither is named it is that of PIXFLEET_BROKER, else of the embedded broker here. One that
    has ended, as after ``pixfleet run``, is started for the time of the look.

    Raises:
        BrokerError: it cannot be started.
    """
    named = broker or (None if state else running_broker())
    if named or (not state and os.environ.get("PIXFLEET_BROKER")):
        yield Producer(named).ledger
        return
    with EmbeddedBroker(state or state_dir()) as embedded:
        yield Producer(embedded.url).ledger
