"""One measurement of a fleet: the same images, one way of processing them, nothing remembered."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from pixfleet.producer.manifests import read_manifests

from .run import Order, run
from .summary import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pixfleet.config.contract import Recipe
    from pixfleet.config.results import Manifest
    from pixfleet.producer.ledger import BatchStatus
    from pixfleet.producer.sources import Source


class NothingMadeError(RuntimeError):
    """No image was made, so nothing can be told; says why."""


@dataclass(frozen=True, slots=True)
class Way:
    """How images are processed."""

    recipe: Recipe
    children: int
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Use:
    """What one image took: CPU seconds, and USD of its files' life beyond the machine."""

    cpu_s: float
    life_usd: Decimal


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of it.

    Attributes:
        images: that were made, some of their variants at least.
        failed: that were not.
        busy_s: wall seconds with all children at work; what they wait for the last one is not in
            it, for in a long run it is nothing.
        cpu_s: CPU seconds in receipts.
        uses: of each image that was made, by its source.
        peak_bytes: most memory of a child.
        bytes_out: of all files.
        encoders: libraries that made the files, with versions.
        startup_s: of broker and worker.
    """

    images: int
    failed: int
    busy_s: float
    cpu_s: float
    peak_bytes: int
    bytes_out: int
    uses: Mapping[str, Use]
    encoders: frozenset[str]
    startup_s: float

    @property
    def images_per_s(self) -> float:
        """As in a long run."""
        return self.images / self.busy_s


def measure(
    way: Way,
    named: str,
    sources: Sequence[Source],
    show: Callable[[BatchStatus, float], None],
    out: Path | None = None,
) -> Figures:
    """Process the sources with a broker and a worker of their own, which leave nothing behind.

    Results are thrown away, or lie in ``out``.

    Raises:
        NothingMadeError: all images failed.
        RunFailedError: the worker cannot be kept alive.
        WorkerStartError: it did not come up.
        BrokerError: the broker did not.
    """
    with tempfile.TemporaryDirectory(prefix="pixfleet-tune-") as place:
        order = Order(
            source=named,
            out=str(out or Path(place) / "out"),
            recipe=way.recipe,
            workers=way.children,
            tenant="tune",
            # Fresh each time: what one measurement learns of efforts would favour the next one.
            state=Path(place) / "state",
            chosen=tuple(sources),
            environment={
                "PIXFLEET_STORE_URL": "",
                "PIXFLEET_OUTPUTS_ALLOWED": "allow",
                "PIXFLEET_MEMO_ENABLED": "false",
                "PIXFLEET_BUDGETS_FILE": "",
                **way.environment,
            },
        )
        result = run(order, time.monotonic(), show)
        if result.problem:
            raise NothingMadeError(f"the manifest is missing: {result.problem}")
        manifests = read_manifests(Path(order.out) / MANIFEST)
    made = [one for one in manifests if one.status != "failed"]
    if not made:
        reasons = {f"{why.code}: {why.message}" for one in manifests for why in one.failures}
        raise NothingMadeError(f"all {len(manifests)} images failed: {'; '.join(sorted(reasons))}")
    variants = [variant for one in made for variant in one.variants]
    return Figures(
        images=len(made),
        failed=len(manifests) - len(made),
        busy_s=busy_s(
            [one.finished_at.timestamp() for one in manifests], way.children, result.wall_s
        ),
        cpu_s=sum(one.receipt.cpu_s for one in manifests),
        peak_bytes=max(one.receipt.peak_bytes for one in manifests),
        bytes_out=sum(variant.bytes for variant in variants),
        uses={one.source: Use(one.receipt.cpu_s, _life_usd(one)) for one in made},
        encoders=frozenset(variant.encoder for variant in variants),
        startup_s=result.startup_s,
    )


def busy_s(ends_s: Sequence[float], children: int, wall_s: float) -> float:
    """Wall seconds that ``children`` need for the work if none of them ever waits for the last one.

    ``ends_s`` are the moments at which jobs ended, ``wall_s`` the time from the first submit to the
    last end. The last job begins when all but ``children`` have ended; from then on each child has
    one job and after it none.
    """
    last = max(ends_s)
    waited_s = sum(last - end for end in sorted(ends_s)[-children:])
    return wall_s - waited_s / children


def _life_usd(manifest: Manifest) -> Decimal:
    """Requests, storage and egress of its files, by the recipe."""
    lives = [variant.lifetime for variant in manifest.variants if variant.lifetime]
    return sum((one.requests_usd + one.storage_usd + one.egress_usd for one in lives), Decimal(0))
