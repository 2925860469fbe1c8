"""Experiments on the user's own images and machine, within a given time."""

from __future__ import annotations

import math
import os
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import load_prices
from pixfleet.config.settings import Settings
from pixfleet.config.worker_settings import usable_cores
from pixfleet.producer.sources import Source, find_sources

from .embedded import BrokerError
from .experiments import concurrency, effort, prefetch, shortest
from .fleet.process import WorkerStartError
from .measurement import NothingMadeError, Way, measure
from .outcome import Outcome
from .population import survey
from .run import RunFailedError
from .shrinking import Shrinking, shrinking
from .spend.extrapolate import draw
from .spend.machine import this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pixfleet.config.contract import Recipe
    from pixfleet.producer.ledger import BatchStatus

    from .experiments import Experiment
    from .measurement import Figures
    from .population import Population
    from .spend.machine import Machine

_ROUNDS: Final = 4
"""That are planned for; more where there is time."""
_MOST_ROUNDS: Final = 7
_MOST_IMAGES: Final = 400
_SHARES: Final = {"concurrency": 0.45, "encoder effort": 0.35, "prefetch": 0.2}
"""Of the time that is left after the first look."""
_DEARER: Final = 1.5
"""What the efforts that are tried take, on average, of the present one's time; to plan by."""
_SEED: Final = 0

FAULTS: Final = (RunFailedError, WorkerStartError, BrokerError, NothingMadeError)
"""That end an experiment, and no other one."""


class TimeUpError(RuntimeError):
    """The time that was given is over."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user asks for."""

    source: str
    recipe: Recipe
    seconds: float


@dataclass(slots=True)
class Tuning:
    """The answer.

    Attributes:
        wish: what was asked.
        images: that the user named.
        machine: whose time is paid.
        price_book: by which.
        cores: that a worker may use here.
        load: processes that wanted a core in the minute before.
        first: the first look, at the present settings.
        outcomes: of experiments, in order.
        shrinking: what shrink-on-load gives; None: not measured.
        notes: what was left out.
        seconds: that it took.
    """

    wish: Wish
    images: int
    machine: Machine
    price_book: str
    cores: int
    load: float
    first: Figures
    outcomes: list[Outcome] = field(default_factory=list["Outcome"])
    shrinking: Shrinking | None = None
    notes: list[str] = field(default_factory=list[str])
    seconds: float = 0.0


def tune(
    wish: Wish, show: Callable[[BatchStatus, float], None], say: Callable[[str], None]
) -> Tuning:
    """Find the better settings, if the time is enough to be sure of any.

    ``show`` is called as for a run, ``say`` with what is measured next.

    Raises:
        SourceNotFoundError: nothing to do.
        NothingMadeError: no image can be processed.
        TimeUpError: not even a first look was possible in the time.
        RunFailedError: the worker cannot be kept alive.
        WorkerStartError: it did not come up.
        BrokerError: the broker did not.
        PriceError: the settings name what the price book does not have.
    """
    began_s = time.monotonic()
    until_s = began_s + wish.seconds
    load = os.getloadavg()[0]
    settings = Settings.load()
    book = load_prices(settings.money.book)
    cores = usable_cores()
    machine = this_machine(settings, book, cores)
    population = survey(wish.source, "", wish.recipe, settings.limits)

    def bounded(status: BatchStatus, elapsed_s: float) -> None:
        if time.monotonic() > until_s:
            raise TimeUpError("the time is over")
        show(status, elapsed_s)

    bench = _Bench(wish.source, population, cores, until_s, bounded, say)
    children = settings.worker.children
    say("first look, at the present settings")
    first = bench.measured(Way(wish.recipe, children), bench.sample(2 * children))
    bench = replace(bench, startup_s=first.startup_s)
    tuning = Tuning(wish, len(population.sources), machine, book.label, cores, load, first)
    # Of wall time, not CPU: what else the machine does takes its time as well.
    core_s = first.busy_s * min(children, cores) / first.images
    experiments = [concurrency(wish.recipe, settings, machine, cores)]
    if wish.recipe.variants:
        experiments.append(effort(wish.recipe, settings, machine))
    else:
        tuning.notes.append("the recipe makes no files, so no encoder effort was tried")
    left = sum(_SHARES.values())
    for experiment in experiments:
        now_s = time.monotonic()
        share_s = (until_s - now_s) * _SHARES[experiment.name] / left
        left -= _SHARES[experiment.name]
        tuning.outcomes.append(bench.compare(experiment, core_s, share_s))
    say("shrink-on-load")
    tuning.shrinking = shrinking(bench.sample(8), wish.recipe, settings, until_s)
    try:
        tuning.outcomes.append(_prefetch(tuning, settings, bench, until_s))
    except (*FAULTS, TimeUpError) as error:
        tuning.notes.append(f"prefetch was not measured: {error}")
    for outcome in tuning.outcomes:
        outcome.decide()
    tuning.seconds = time.monotonic() - began_s
    return tuning


def _prefetch(tuning: Tuning, settings: Settings, bench: _Bench, until_s: float) -> Outcome:
    """On little pictures, made of the user's own: there the way of a message counts most."""
    wish, first, children = tuning.wish, tuning.first, settings.worker.children
    with tempfile.TemporaryDirectory(prefix="pixfleet-tune-") as place:
        bench.say("prefetch: little pictures")
        short = Way(shortest(wish.recipe), children)
        made = Path(place) / "little"
        bench.measured(short, bench.sample(8), out=made)
        little = tuple(find_sources(str(made)))
        bench = replace(bench, named=str(made), little=little)
        look = bench.measured(short, bench.sample(20 * children))
        experiment = prefetch(
            short.recipe,
            settings,
            tuning.machine,
            job_s=first.busy_s * children / first.images,
            short_job_s=look.busy_s * children / look.images,
        )
        core_s = look.busy_s * min(children, bench.cores) / look.images
        return bench.compare(experiment, core_s, until_s - time.monotonic())


@dataclass(frozen=True, slots=True)
class _Bench:
    """Where values are measured, in turns, until ``until_s`` (monotonic) at the latest."""

    named: str
    population: Population
    cores: int
    until_s: float
    show: Callable[[BatchStatus, float], None]
    say: Callable[[str], None]
    startup_s: float = 0.0
    """of a fleet"""
    little: tuple[Source, ...] = ()
    """pictures in place of the population's"""

    def measured(self, way: Way, sources: Sequence[Source], out: Path | None = None) -> Figures:
        """As ``measure``; not begun where a fleet would not be up in time.

        Raises:
            TimeUpError: it was not done in time.
        """
        if time.monotonic() + self.startup_s > self.until_s:
            raise TimeUpError("the time is over")
        return measure(way, self.named, sources, self.show, out)

    def sample(self, count: int) -> tuple[Source, ...]:
        """So many images, the dearest first; several times the same where there are fewer."""
        if self.little:
            return _copies(self.little, count)
        sources, sizes = self.population.sources, self.population.sizes
        weights = sizes or [1] * len(sources)
        chosen = sorted(draw(weights, count, _SEED), key=lambda place: -weights[place])
        return _copies([sources[place] for place in chosen], count)

    def compare(self, experiment: Experiment, core_s: float, share_s: float) -> Outcome:
        """Measure all values in turns, as often as the time allows."""
        until_s = time.monotonic() + share_s
        experiment, images, left_out = self.planned(experiment, core_s, share_s)
        outcome = Outcome(experiment, images, {one.label: [] for one in experiment.values})
        if left_out:
            outcome.notes.append(f"left out for want of time: {', '.join(left_out)}")
        sources = self.sample(images)
        values = list(experiment.values)
        longest_s = 0.0
        for turn in range(_MOST_ROUNDS):
            began_s = time.monotonic()
            if turn and began_s + longest_s > until_s:
                break
            found: dict[str, Figures] = {}
            # To and fro: what drifts over a round then favours no value.
            for value in values if turn % 2 == 0 else reversed(values):
                self.say(f"{experiment.name} {value.label}, round {turn + 1}")
                try:
                    found[value.label] = self.measured(value.way, sources)
                except TimeUpError as error:
                    outcome.notes.append(f"round {turn + 1} was not ended: {error}")
                    return outcome
                except FAULTS as error:
                    outcome.notes.append(f"{value.label} failed: {error}")
                    outcome.rounds.pop(value.label)
            values = [value for value in values if value.label in outcome.rounds]
            if experiment.present not in outcome.rounds:
                outcome.rounds.clear()
                break
            for label, figures in found.items():
                outcome.rounds[label].append(figures)
            longest_s = max(longest_s, time.monotonic() - began_s)
        return outcome

    def planned(
        self, experiment: Experiment, core_s: float, share_s: float
    ) -> tuple[Experiment, int, list[str]]:
        """The experiment with as many values and images as the rounds in the time allow."""
        values = list(experiment.values)
        left_out: list[str] = []
        while True:
            most = max(value.way.children for value in values)
            least = experiment.least_images or 2 * most
            each_s = sum(core_s / min(value.way.children, self.cores) for value in values)
            each_s *= _DEARER if experiment.place == "recipe" else 1
            fixed_s = len(values) * self.startup_s
            # Where images are compared one by one, one round of more of them tells more.
            rounds = 1 if experiment.image_usd else _ROUNDS
            fits = math.floor((share_s / rounds - fixed_s) / each_s)
            spare = [one for one in reversed(values) if one.label != experiment.present]
            if fits >= least or len(spare) <= 1:
                break
            values.remove(spare[0])
            left_out.append(spare[0].label)
        # Longer measurements are calmer ones, but a copy tells nothing new of bytes.
        have = len(self.population.sources) if experiment.place == "recipe" else _MOST_IMAGES
        kept = replace(experiment, values=tuple(values))
        return kept, max(least, min(fits, have)), left_out


def _copies(sources: Sequence[Source], count: int) -> tuple[Source, ...]:
    """``count`` of them, each as often as the next; nothing is remembered, so copies cost alike."""
    taken = [sources[place * len(sources) // count] for place in range(count)]
    return tuple(
        Source(one.url, f"{place}/{one.name}", one.root, one.listed_bytes)
        for place, one in enumerate(taken)
    )
