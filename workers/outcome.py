"""What came of an experiment, and what is decided by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from .fleet.memory import FOR_CHILDREN, machine_bytes
from .spend.gain import judge

if TYPE_CHECKING:
    from .experiments import Experiment, Value
    from .measurement import Figures
    from .spend.gain import Verdict


@dataclass(slots=True)
class Outcome:
    """What came of an experiment.

    Attributes:
        experiment: what was tried.
        images: of each measurement, copies among them.
        rounds: of each value, by its label; all of the same length.
        verdict: None: there was no round.
        notes: what was left out or went wrong.
    """

    experiment: Experiment
    images: int
    rounds: dict[str, list[Figures]] = field(default_factory=dict[str, "list[Figures]"])
    verdict: Verdict | None = None
    notes: list[str] = field(default_factory=list[str])

    @property
    def chosen(self) -> Value | None:
        """The value to take in place of the present one; None: none is surely better."""
        if self.verdict is None or self.verdict.chosen == self.experiment.present:
            return None
        return next(one for one in self.experiment.values if one.label == self.verdict.chosen)

    def decide(self) -> None:
        """The verdict by cost, of values that make as many images and fit into memory."""
        experiment, rounds = self.experiment, self.rounds
        if not rounds or not rounds[experiment.present]:
            return
        fewest = max(one.failed for one in rounds[experiment.present])
        eligible: set[str] = set()
        for value in experiment.values:
            measured = rounds.get(value.label)
            if not measured:
                continue
            peak = max(one.peak_bytes for one in measured)
            failed = max(one.failed for one in measured)
            if failed > fewest:
                self.notes.append(f"{value.label} is out: {failed} images failed, not {fewest}")
            elif peak * value.way.children > FOR_CHILDREN * machine_bytes():
                self.notes.append(
                    f"{value.label} is out: {value.way.children} children do not fit into memory, "
                    f"at {peak / 1e9:.1f} GB each"
                )
            else:
                eligible.add(value.label)
        totals = {
            label: [float(experiment.cost_usd(one)) for one in measured]
            for label, measured in rounds.items()
        }
        costs = self._by_image() or totals
        if min(map(min, costs.values())) <= 0:
            self.notes.append("it costs nothing by the price book, so nothing is cheaper")
            return
        least = median(totals[experiment.present])
        eligible = {label for label in eligible if median(totals[label]) < least}
        self.verdict = judge(costs, experiment.present, frozenset(eligible))

    def _by_image(self) -> dict[str, list[float]]:
        """Costs of the images that all values have made, median of the rounds."""
        image_usd = self.experiment.image_usd
        if image_usd is None:
            return {}
        everywhere = [one.uses for measured in self.rounds.values() for one in measured]
        names = sorted(set.intersection(*map(set, everywhere)))
        return {
            label: [median(float(image_usd(one.uses[name])) for one in measured) for name in names]
            for label, measured in (self.rounds.items() if names else ())
        }
