"""pixfleet at the target at which it is as good as a peer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from .runs import smaller

if TYPE_CHECKING:
    from collections.abc import Callable

    from judges.panel import Judge

    from .runs import Run

CLOSE: Final = 0.05
RUNS: Final = 6
LADDER: Final = (50.0, 60.0, 70.0, 80.0, 90.0)


class Ladder:
    """pixfleet's runs over one set in one way, made when asked for and kept.

    Args:
        run_at: makes the run at a target.
    """

    def __init__(self, run_at: Callable[[float], Run]) -> None:
        self._run_at = run_at
        self._runs: dict[float, Run] = {}

    def at(self, target: float) -> Run:
        """The run at this target."""
        target = round(target, 2)
        if target not in self._runs:
            self._runs[target] = self._run_at(target)
        return self._runs[target]

    def matched(self, p10: float) -> Run:
        """The run whose 10th percentile is nearest, sought until within ``CLOSE``.

        Among equally near ones the better: lossless files leave gaps that no target closes.
        """
        target = p10 + 0.2
        runs: list[Run] = []
        for _ in range(RUNS):
            runs.append(self.at(min(100.0, target)))
            off = p10 - runs[-1].p10
            if abs(off) <= CLOSE:
                break
            target += off
        return min(runs, key=lambda run: (round(abs(run.p10 - p10), 2), -run.p10))

    @cached_property
    def rungs(self) -> list[Run]:
        """Runs over the whole range of targets, for judges that cannot be aimed at."""
        return [self.at(target) for target in LADDER]

    def smaller_at_equal(self, value: Callable[[Run], float], peer: Run) -> float:
        """How much smaller than the peer where ``value`` of both is the same.

        Between the two runs that enclose the peer's, the logarithm of the bytes is taken as
        straight. nan where the peer's lies outside all runs, or is nan itself.

        Args:
            value: of a run; more is better.
            peer: the run to compare with.
        """
        runs = sorted((*self.rungs, *self._runs.values()), key=lambda run: run.setting)
        values = np.maximum.accumulate([value(run) for run in runs])
        wanted = value(peer)
        if not values[0] <= wanted <= values[-1]:
            return float("nan")
        ratios = [np.log(1 - smaller(run, peer)) for run in runs]
        return 1 - float(np.exp(np.interp(wanted, values, ratios)))


@dataclass(frozen=True)
class Row:
    """One peer against one way of pixfleet, at an equal 10th percentile of SSIMULACRA2."""

    peer: Run
    ours: Run
    ladder: Ladder

    @property
    def smaller(self) -> float:
        """At the equal percentile."""
        return smaller(self.ours, self.peer)

    @property
    def smaller_in_sum(self) -> float:
        """The same, of the sums of bytes."""
        return 1 - sum(self.ours.sizes) / sum(self.peer.sizes)

    def smaller_at_equal_mean(self, judge: Judge) -> float:
        """At an equal mean by this judge."""
        return self.ladder.smaller_at_equal(lambda run: judge.sign * run.mean(judge), self.peer)

    def smaller_at_equal_tail(self, judge: Judge) -> float:
        """Where a tenth of either set is equally bad by this judge."""
        return self.ladder.smaller_at_equal(lambda run: judge.sign * run.tail(judge), self.peer)
