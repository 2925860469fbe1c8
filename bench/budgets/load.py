"""Two tenants that keep a number of jobs before a fleet, whatever becomes of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal

from pixfleet.config.contract import ImageJob, Recipe, VariantSpec
from pixfleet.producer import BudgetClosedError

if TYPE_CHECKING:
    from pathlib import Path

    from pixfleet.producer import JobHandle, Producer

Kind = tuple[str, Literal["bulk", "interactive"]]
"""Tenant and queue."""
RECIPE: Final = Recipe(
    name="bench",
    features=(),
    variants=(
        VariantSpec(name="main", width=400, formats=("avif", "webp")),
        VariantSpec(name="extra", width=300, formats=("jpeg",), optional=True),
    ),
)
KEPT: Final[dict[Kind, int]] = {
    ("shop", "bulk"): 16,
    ("shop", "interactive"): 3,
    ("news", "bulk"): 4,
}


class Load:
    """What the tenants have submitted."""

    def __init__(self, producer: Producer, source: Path, out: Path) -> None:
        self._producer = producer
        self._source, self._out = str(source), str(out)
        self.handles: dict[Kind, list[JobHandle]] = {kind: [] for kind in KEPT}
        self._open: dict[Kind, list[JobHandle]] = {kind: [] for kind in KEPT}
        self.refused_at: list[float] = []

    def top_up(self) -> None:
        """Bring each kind back to its number; who is refused is refused once."""
        for (tenant, queue), kept in KEPT.items():
            kind = tenant, queue
            self._open[kind] = [one for one in self._open[kind] if not one.status().ended_at]
            job = ImageJob(
                source=self._source, output=self._out, recipe=RECIPE, tenant=tenant, queue=queue
            )
            try:
                for _ in range(kept - len(self._open[kind])):
                    handle = self._producer.submit(job)
                    self._open[kind].append(handle)
                    self.handles[kind].append(handle)
            except BudgetClosedError:
                self.refused_at.append(time.time())

    def unfinished(self, *tenants: str) -> list[JobHandle]:
        """Jobs of these tenants that have not ended."""
        return [
            one
            for (tenant, _), some in self.handles.items()
            if tenant in tenants
            for one in some
            if not one.status().ended_at
        ]

    def ended(self, tenant: str) -> int:
        """How many of a tenant's jobs have."""
        every = sum(len(some) for (who, _), some in self.handles.items() if who == tenant)
        return every - len(self.unfinished(tenant))
