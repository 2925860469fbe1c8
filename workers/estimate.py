"""What a run will cost and take, from a sample that is really processed."""

from __future__ import annotations

import heapq
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import load_prices
from pixfleet.config.settings import Settings

from .estimated import PARTS, Estimate, Time
from .population import survey
from .sample import process
from .spend.detection import charged
from .spend.extrapolate import Extrapolation, draw, share
from .spend.quotes import Work, quotes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pixfleet.producer.ledger import BatchStatus

    from .sample import Question

_WORKERS: Final = (1, 2, 4, 8, 16, 32, 64, 100)
_SCHEDULED_MOST: Final = 20_000
"""Images that are laid out one by one over workers; of more the last one's wait is nothing."""


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
    here = charged(settings, book)
    rates = here.rates
    population = survey(question.source, question.out, question.recipe, settings.limits)
    chosen = draw(population.sizes or [1] * len(population.sources), question.sample, question.seed)
    sources = tuple(population.sources[place] for place in chosen)
    sample = process(question, settings, book, sources, show)
    fresh, final, startup_s = sample.fresh, sample.final, sample.startup_s + ready_s
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
        wall_s = startup_s + makespan(walls, workers)
        cost = Decimal(wall_s * workers) * rates.core_second_usd
        return Time(workers, wall_s, cost)

    work = Work(
        images=images,
        cpu_s=cpu.expected,
        lost_s=sum(walls) / images / 2,
        startup_s=startup_s,
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
        quotes=tuple(quotes(book, here.instance, work)),
        machine=rates.machine,
        price_book=book.label,
        memo=sample.memo,
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
