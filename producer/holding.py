"""Which budget holds jobs back, as people are told of it."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Self, cast

from pixfleet.config import keys
from pixfleet.config.prices import from_nano

from .connection import answering
from .desk import PENDING

if TYPE_CHECKING:
    from .ledger import JobStatus, Ledger

_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Hold:
    """A budget that lets jobs of its owner wait, or refuses them."""

    owner: str
    """fleet, tenant:NAME or recipe:NAME"""
    period: str
    rung: str
    """closed, or essential, which lets only interactive jobs begin"""
    spent_usd: Decimal
    limit_usd: Decimal
    ends_at: dt.datetime
    """when the period ends, UTC"""

    @classmethod
    def read(cls, row: str | bytes) -> Self:
        """What the ledger's scripts say of a budget."""
        found = json.loads(row)
        owner, _, period = found["id"].partition("|")
        return cls(
            owner=owner,
            period=period,
            rung=found["rung"],
            spent_usd=from_nano(int(found["spent_nano_usd"])),
            limit_usd=from_nano(int(found["limit_nano_usd"])),
            ends_at=dt.datetime.fromtimestamp(found["ends_at"], dt.UTC),
        )

    @property
    def text(self) -> str:
        """Whose it is, how it stands, until when, and how to go on before that."""
        bulk = " for bulk jobs" if self.rung == "essential" else ""
        spent = f"{self.spent_usd:.6f}" if self.spent_usd >= _CENT else f"{self.spent_usd:f}"
        return (
            f"the budget of {self.owner} is closed{bulk}: {spent} of "
            f"{self.limit_usd.normalize():f} USD are spent this {self.period}. It opens at "
            f"{self.ends_at:%Y-%m-%dT%H:%M:%SZ}, or when it is raised: pixfleet budget set "
            f"{self.owner} --period {self.period} --limit USD"
        )


def holds(ledger: Ledger, tenant: str, recipe: str, queue: str) -> Hold | None:
    """The budget that lets no such job begin now, None where there is none.

    Raises:
        LedgerUnavailableError: Redis did not answer.
    """
    script = ledger.scripts.load("pixfleet.producer", "holding")
    row: bytes = ledger.scripts.ask(script, tenant, recipe, queue)
    return Hold.read(row) if row else None


def holds_job(ledger: Ledger, job: JobStatus) -> Hold | None:
    """The same of a job that is known; None when it does not wait."""
    return holds(ledger, job.tenant, job.recipe, job.queue) if job.state in PENDING else None


def holds_batch(ledger: Ledger, batch: str) -> Hold | None:
    """The same of a batch, by its first job: its jobs are, as a rule, of one kind."""
    with answering(ledger.redis):
        first = cast("bytes | None", ledger.redis.lindex(keys.BATCH_JOBS + batch, 0))
    for job in ledger.statuses([first.decode()]) if first else ():
        return holds(ledger, job.tenant, job.recipe, job.queue)
    return None
