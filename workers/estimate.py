"""What a run will cost and take, from a sample that is really processed."""

from __future__ import annotations

import heapq
import math
import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config import keys
from pixfleet.config.prices import NANO, load_prices
from pixfleet.config.settings import Settings
from pixfleet.producer.connection import LedgerUnavailableError, connect
from pixfleet.producer.manifests import read_manifests

from .embedded import APPEND_ONLY, EmbeddedBroker
from .errors import RetryableError
from .memo.index import MemoIndex
from .population import survey
from .recall import job_key
from .run import Order, run
from .spend.extrapolate import CONFIDENCE, Extrapolation, Interval, draw, share
from .spend.quotes import INTERRUPTED_EVERY_H, Work, quotes
from .summary import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pixfleet.config.contract import Recipe
    from pixfleet.config.prices import PriceBook
    from pixfleet.config.results import Manifest
    from pixfleet.producer.ledger import BatchStatus
    from pixfleet.producer.sources import Source

    from .spend.extrapolate import Total
    from .spend.quotes import Quote

PARTS: Final = ("cpu", "requests", "storage", "egress")
_WORKERS: Final = (1, 2, 4, 8, 16, 32, 64, 100)
_SCHEDULED_MOST: Final = 20_000
"""Images that are laid out one by one over workers; of more the last one's wait is nothing."""
_SQS_REQUESTS: Final = 2.1
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
class Measured:
    """One image of the sample; USD as floats, for statistics."""

    manifest: Manifest
    known: bool
    usd: dict[str, float]
    cpu_s: float
    wall_s: float
    bytes_out: int
    files: int

    @classmethod
    def of(cls, manifest: Manifest, requests_usd: Decimal, *, known: bool) -> Measured:
        """By a job's receipt, and what storing its files takes beyond it."""
        receipt = manifest.receipt
        lives = [variant.lifetime for variant in manifest.variants if variant.lifetime]
        machine_usd = receipt.lines_usd.get("cpu", Decimal(0))
        usd = {
            "cpu": machine_usd,
            "requests": receipt.cost_usd - machine_usd + requests_usd,
            "storage": sum((life.storage_usd for life in lives), Decimal(0)),
            "egress": sum((life.egress_usd for life in lives), Decimal(0)),
        }
        return cls(
            manifest=manifest,
            known=known,
            usd={part: float(amount) for part, amount in usd.items()},
            cpu_s=receipt.cpu_s,
            wall_s=sum(stage.wall_s for stage in receipt.stages),
            bytes_out=receipt.bytes_out,
            files=len(manifest.variants),
        )


@dataclass(frozen=True, slots=True)
class Time:
    """How long it takes with so many workers, each with a core like those here."""

    workers: int
    wall_s: float
    machine_usd: Decimal
    """of those cores for all that time, idle or not"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The answer. ``parts`` are USD, for all images."""

    images: int
    bytes_in: int | None
    sampled: tuple[Measured, ...]
    sample_s: float
    parts: dict[str, Total]
    run_usd: Interval
    life_usd: Interval
    fresh_usd: Interval
    """of the run, were nothing known"""
    cpu_s: Interval
    bytes_out: Interval
    files: Interval
    failed: Interval
    known: Interval
    times: tuple[Time, ...]
    asked: Time
    quotes: tuple[Quote, ...]
    machine: str
    price_book: str
    memo: str
    """why the memo was not asked; empty: it was"""
    seed: int

    @property
    def failures(self) -> list[Measured]:
        """Images of the sample of which something was not made."""
        return [one for one in self.sampled if one.manifest.failures]

    @property
    def elsewhere_usd(self) -> Decimal:
        """What a run costs beyond machines, and its results over their life: alike everywhere."""
        return _usd(sum(self.parts[part].expected for part in PARTS[1:]))

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "images": self.images,
            "bytes_in": self.bytes_in,
            "sampled": len(self.sampled),
            "census": len(self.sampled) == self.images,
            "seed": self.seed,
            "confidence": CONFIDENCE,
            "run_usd": _money(self.run_usd),
            "lifetime_usd": _money(self.life_usd),
            "fresh_run_usd": _money(self.fresh_usd),
            "parts_usd": {part: _money(total.interval) for part, total in self.parts.items()},
            "predicted_by": {part: total.by for part, total in self.parts.items()},
            "per_image_usd": _money(self.life_usd.times(1 / self.images)),
            "per_million_usd": _money(self.life_usd.times(1e6 / self.images)),
            "cpu_s": _rounded(self.cpu_s, 3),
            "bytes_out": _rounded(self.bytes_out),
            "files": _rounded(self.files),
            "failed": _rounded(self.failed, 1),
            "known": None if self.memo else _rounded(self.known, 1),
            "known_in_sample": sum(one.known for one in self.sampled),
            "memo": self.memo,
            "failures": [
                {
                    "source": one.manifest.source,
                    "status": one.manifest.status,
                    "failures": [f.model_dump(mode="json") for f in one.manifest.failures],
                }
                for one in self.failures
            ],
            "time": _time(self.asked),
            "times": [_time(one) for one in self.times],
            "machine": self.machine,
            "machines": [
                {
                    "machine": quote.machine,
                    "compute_usd": _exact(quote.compute_usd),
                    "rework_usd": _exact(quote.rework_usd),
                    "total_usd": _exact(self.total_usd(quote)),
                    "per_image_usd": _exact(self.total_usd(quote) / self.images),
                    "per_million_usd": _exact(self.total_usd(quote) / self.images * 10**6),
                }
                for quote in self.quotes
            ],
            "spot_interrupted_every_h": INTERRUPTED_EVERY_H,
            "price_book": self.price_book,
            "sample_s": round(self.sample_s, 3),
        }

    def total_usd(self, quote: Quote) -> Decimal:
        """All parts, with machines as quoted."""
        return quote.compute_usd + quote.rework_usd + self.elsewhere_usd


def estimate(
    question: Question, ready_s: float, show: Callable[[BatchStatus, float], None]
) -> Estimate:
    """Process a sample in a fleet of its own, throw its results away, and extrapolate.

    ``ready_s``: what the command took until here, imports; ``show`` as for a run.

    Raises:
        SourceNotFoundError: nothing to do.
        EstimateFailedError: nothing of the sample was made.
        RunFailedError: the worker cannot be kept alive.
        PriceError: the settings name what the price book does not have.
    """
    began_s = time.monotonic()
    settings = Settings.load()
    book = load_prices(settings.money.book)
    # Before the work, not after it: a wrong name of a machine is an error at once.
    rates = book.rates(settings.money.instance, settings.money.purchase)
    population = survey(question.source, question.out, question.recipe, settings.limits)
    chosen = draw(population.sizes or [1] * len(population.sources), question.sample, question.seed)
    sources = tuple(population.sources[place] for place in chosen)
    cores = min(settings.worker.children, len(chosen))
    fresh, final, startup_s, memo = _processed(question, settings, sources, cores, show)
    if all(one.manifest.status == "failed" for one in fresh):
        raise EstimateFailedError(_reasons(fresh))
    known = Extrapolation(population.auxiliaries, chosen, question.seed)
    parts = {part: known.total([one.usd[part] for one in final]) for part in PARTS}
    run_total = parts["cpu"] + parts["requests"]
    fresh_total = known.total([one.usd["cpu"] for one in fresh]) + known.total(
        [one.usd["requests"] for one in fresh]
    )
    cpu = known.total([one.cpu_s for one in final]).interval
    walls = known.each([one.wall_s for one in final]).tolist()
    images = known.images

    def time_at(workers: int) -> Time:
        wall_s = ready_s + startup_s + makespan(walls, workers)
        cost = Decimal(wall_s * workers) * rates.core_second_usd
        return Time(workers, wall_s, cost)

    work = Work(
        images=images,
        cpu_s=cpu.expected,
        lost_s=sum(walls) / images / 2,
        startup_s=startup_s + ready_s,
    )
    return Estimate(
        images=images,
        bytes_in=sum(population.sizes) if population.sizes else None,
        sampled=tuple(final),
        sample_s=time.monotonic() - began_s,
        parts=parts,
        run_usd=run_total.interval,
        life_usd=(run_total + parts["storage"] + parts["egress"]).interval,
        fresh_usd=fresh_total.interval,
        cpu_s=cpu,
        bytes_out=known.total([one.bytes_out for one in final]).interval,
        files=known.total([one.files for one in final]).interval,
        failed=share(sum(one.manifest.status == "failed" for one in final), len(final), images),
        known=share(sum(one.known for one in final), len(final), images),
        times=tuple(time_at(workers) for workers in _WORKERS if workers <= images),
        asked=time_at(question.workers),
        quotes=tuple(quotes(book, settings.money.instance, work)),
        machine=rates.machine,
        price_book=book.label,
        memo=memo,
        seed=question.seed,
    )


def makespan(walls_s: Sequence[float], workers: int) -> float:
    """Seconds until the last image is done, each taken in turn by the worker that is free first."""
    if len(walls_s) > _SCHEDULED_MOST:
        return sum(walls_s) / workers
    ends = [0.0] * workers
    for wall_s in walls_s:
        heapq.heapreplace(ends, ends[0] + wall_s)
    return max(ends)


def _processed(
    question: Question,
    settings: Settings,
    sources: tuple[Source, ...],
    children: int,
    show: Callable[[BatchStatus, float], None],
) -> tuple[list[Measured], list[Measured], float, str]:
    """The sample as if nothing were known, then as it is; start-up; why the memo was not asked."""
    book = load_prices(settings.money.book)
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
        hits, memo = _hits(question, settings, book, manifests)
        final = list(fresh)
        if hits:
            # What a hit costs is measured as well: by now the sample's own memo has them.
            recalled, _ = processed(tuple(sources[hit] for hit in hits), "recalled")
            for hit, one in zip(hits, measured(recalled, known=True), strict=True):
                final[hit] = one
        return fresh, final, startup_s, memo


def _beyond(question: Question, settings: Settings, book: PriceBook, manifest: Manifest) -> Decimal:
    """Requests that the real run makes and the sample's did not."""
    usd = Decimal(0)
    if question.out.startswith("s3://"):
        usd += len(manifest.variants) * book.request_usd("s3_put")
    if settings.broker.on_sqs:
        usd += Decimal(str(_SQS_REQUESTS)) * book.request_usd("sqs_request")
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


def _usd(amount: float) -> Decimal:
    return Decimal(amount).quantize(NANO)


def _exact(amount: Decimal) -> str:
    return format(amount.quantize(NANO), "f")


def _money(interval: Interval) -> dict[str, str | None]:
    return {
        end: _exact(_usd(usd)) if math.isfinite(usd) else None
        for end, usd in asdict(interval).items()
    }


def _rounded(interval: Interval, digits: int | None = None) -> dict[str, float | None]:
    return {
        end: round(value, digits) if math.isfinite(value) else None
        for end, value in asdict(interval).items()
    }


def _time(one: Time) -> dict[str, Any]:
    return {
        "workers": one.workers,
        "wall_s": round(one.wall_s, 3),
        "machine_usd": _exact(one.machine_usd),
    }
