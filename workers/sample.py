"""A sample, processed in a fleet of its own that leaves nothing behind."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pixfleet.config import keys
from pixfleet.producer.connection import LedgerUnavailableError, connect
from pixfleet.producer.manifests import read_manifests

from .embedded import APPEND_ONLY, EmbeddedBroker
from .errors import RetryableError
from .estimated import Measured
from .memo.index import MemoIndex
from .recall import job_key
from .run import Order, run
from .summary import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pixfleet.config.contract import Recipe
    from pixfleet.config.prices import PriceBook
    from pixfleet.config.results import Manifest
    from pixfleet.config.settings import Settings
    from pixfleet.producer.ledger import BatchStatus
    from pixfleet.producer.sources import Source

_SQS_REQUESTS: Final = Decimal("2.1")
"""A job's, sent in batches (docs/sqs.md)."""


class EstimateFailedError(RuntimeError):
    """The sample tells nothing; says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a user asks."""

    source: str
    out: str
    """where the results would go: requests are counted as there, and nothing is written"""
    recipe: Recipe
    sample: int
    workers: int
    seed: int
    state: Path
    """whose memo is asked what it knows"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What came of it.

    Attributes:
        fresh: as if nothing were known.
        final: as it is: images that the real memo knows as hits.
        startup_s: of broker and worker.
        memo: why the memo was not asked; empty: it was.
    """

    fresh: list[Measured]
    final: list[Measured]
    startup_s: float
    memo: str


def process(
    question: Question,
    settings: Settings,
    book: PriceBook,
    sources: tuple[Source, ...],
    show: Callable[[BatchStatus, float], None],
) -> Sample:
    """Process the sources, look up what the real memo knows of them, and recall that.

    Raises:
        EstimateFailedError: nothing of the sample was made.
        RunFailedError: the worker cannot be kept alive.
    """
    children = min(settings.worker.children, len(sources))
    with tempfile.TemporaryDirectory(prefix="pixfleet-estimate-") as place:

        def processed(chosen: tuple[Source, ...], folder: str) -> tuple[list[Manifest], float]:
            out = Path(place) / folder
            order = Order(
                source=question.source,
                out=str(out),
                recipe=question.recipe,
                workers=children,
                tenant="estimate",
                # A memo of its own: what is known must not make the sample look cheap.
                state=Path(place) / "state",
                chosen=chosen,
                environment={"PIXFLEET_STORE_URL": "", "PIXFLEET_OUTPUTS_ALLOWED": "allow"},
            )
            result = run(order, time.monotonic(), show)
            if result.problem:
                raise EstimateFailedError(f"the sample's manifest is missing: {result.problem}")
            return read_manifests(out / MANIFEST), result.startup_s

        def measured(manifests: Iterable[Manifest], *, known: bool) -> list[Measured]:
            return [
                Measured.of(one, _beyond(question, settings, book, one), known=known)
                for one in manifests
            ]

        manifests, startup_s = processed(sources, "fresh")
        fresh = measured(manifests, known=False)
        if all(one.manifest.status == "failed" for one in fresh):
            raise EstimateFailedError(_reasons(fresh))
        hits, memo = _hits(question, settings, book, manifests)
        final = list(fresh)
        if hits:
            # What a hit costs is measured as well: by now the sample's own memo has them.
            recalled, _ = processed(tuple(sources[hit] for hit in hits), "recalled")
            for hit, one in zip(hits, measured(recalled, known=True), strict=True):
                final[hit] = one
        return Sample(fresh, final, startup_s, memo)


def _beyond(question: Question, settings: Settings, book: PriceBook, manifest: Manifest) -> Decimal:
    """Requests that the real run makes and the sample's did not."""
    usd = Decimal(0)
    if question.out.startswith("s3://"):
        usd += len(manifest.variants) * book.request_usd("s3_put")
    if settings.broker.on_sqs:
        usd += _SQS_REQUESTS * book.request_usd("sqs_request")
    return usd


def _hits(
    question: Question, settings: Settings, book: PriceBook, manifests: Sequence[Manifest]
) -> tuple[list[int], str]:
    """Places of the images that the real run's memo knows whole."""
    if not settings.memo.enabled:
        return [], "it is switched off"
    try:
        with ExitStack() as stack:
            if os.environ.get("PIXFLEET_BROKER"):
                url = settings.ledger_url
            elif not (question.state / APPEND_ONLY).is_dir():
                return [], ""  # nothing was ever run here
            else:
                url = stack.enter_context(EmbeddedBroker(question.state)).redis_url
            index = MemoIndex(connect(url), keys.MEMO)
            return [
                place
                for place, one in enumerate(manifests)
                if one.sha256 and index.exists(job_key(question.recipe, one.sha256, book.label))
            ], ""
    except (LedgerUnavailableError, RetryableError) as error:
        return [], str(error)


def _reasons(measured: Sequence[Measured]) -> str:
    reasons = {
        failure.code: f"{failure.message}; {failure.hint}"
        for one in measured
        for failure in one.manifest.failures
    }
    told = "\n".join(f"  {code}: {said}" for code, said in reasons.items())
    return f"all {len(measured)} images of the sample failed, so nothing can be told:\n{told}"
