"""From a sample to all images: totals by a ratio estimator, their intervals by the bootstrap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

CONFIDENCE: Final = 0.9
_TIMES: Final = 2_000
_TAIL: Final = (1 - CONFIDENCE) / 2
_COUNT: Final = "images"


@dataclass(frozen=True, slots=True)
class Interval:
    """What is expected, and between what the truth lies with 90% confidence."""

    expected: float
    low: float
    high: float

    def times(self, factor: float) -> Interval:
        """The same in another unit."""
        return Interval(self.expected * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of a measure over all images.

    Attributes:
        expected: by the ratio estimator.
        by: the auxiliary that predicts the measure.
        observed: what the sample alone sums to: the total is not below it.
    """

    expected: float
    by: str
    observed: float
    _deviations: NDArray[np.float64]

    @property
    def interval(self) -> Interval:
        """With the bootstrap's quantiles; of one image of several there is no upper end."""
        if np.isnan(self._deviations).any():
            return Interval(self.expected, self.observed, math.inf)
        low, high = np.quantile(self._deviations, (_TAIL, 1 - _TAIL))
        return Interval(
            self.expected,
            max(self.observed, self.expected + float(low)),
            self.expected + float(high),
        )

    def __add__(self, other: Total) -> Total:
        """Of two measures of the same images: what they share of chance is not counted twice."""
        return Total(
            self.expected + other.expected,
            self.by if self.by == other.by else f"{self.by}, {other.by}",
            self.observed + other.observed,
            self._deviations + other._deviations,
        )


def draw(sizes: Sequence[float], count: int, seed: int) -> list[int]:
    """Places of a systematic sample over the list in order of size, in order of the list.

    Every image is as likely as any other to be in it, and small and large ones are in it in
    proportion. All of them where ``count`` is not below their number.

    Raises:
        ValueError: ``count`` is below 1.
    """
    if count < 1:
        raise ValueError(f"a sample of {count} images tells nothing")
    if count >= len(sizes):
        return list(range(len(sizes)))
    rng = np.random.default_rng(seed)
    # Equal sizes in random order: else a folder's order could hide a period of the sample's step.
    shuffled = rng.permutation(len(sizes))
    ordered = shuffled[np.argsort(np.asarray(sizes, np.float64)[shuffled], kind="stable")]
    step = len(sizes) / count
    places = (rng.random() + np.arange(count)) * step
    return sorted(int(place) for place in ordered[places.astype(int)])


class Extrapolation:
    """Totals over all images of what was measured on some of them.

    ``auxiliaries`` are figures that are known of every image and may predict a measure, such as
    bytes; ``chosen`` are the places of the measured images. With all measured it is a census, and
    every interval is empty: it tells of chance in the choice, not of a machine's moods.
    """

    def __init__(
        self, auxiliaries: Mapping[str, Sequence[float]], chosen: Sequence[int], seed: int
    ) -> None:
        self._all = {name: np.asarray(values, np.float64) for name, values in auxiliaries.items()}
        self.images = len(next(iter(self._all.values())))
        self._all = {_COUNT: np.ones(self.images), **self._all}
        self._chosen = np.asarray(chosen, int)
        size = len(chosen)
        rng = np.random.default_rng(seed)
        self._resampled = rng.integers(0, size, (_TIMES, size))
        self._widening = _widening(size, self.images)

    def total(self, measured: Sequence[float], by: str | None = None) -> Total:
        """Of one measure; ``by``: the auxiliary, instead of the one that predicts it best."""
        values = np.asarray(measured, np.float64)
        by = by or self._best(values)
        known = self._all[by][self._chosen]
        everything = float(self._all[by].sum())
        expected = float(values.sum() / known.sum()) * everything
        # How far each image is from what the others foretell: its own pull on the ratio hides it.
        missed = values - known * (values.sum() / known.sum())
        missed /= np.maximum(1 - known / known.sum(), 1 / len(values))
        below = known[self._resampled].sum(axis=1)
        above = missed[self._resampled].sum(axis=1)
        deviations = above / below * everything * self._widening
        return Total(expected, by, float(values.sum()), deviations)

    def each(self, measured: Sequence[float]) -> NDArray[np.float64]:
        """The measure of every image: as measured, or as its auxiliary predicts."""
        values = np.asarray(measured, np.float64)
        known = self._all[self._best(values)]
        predicted = known * (values.sum() / known[self._chosen].sum())
        predicted[self._chosen] = values
        return predicted

    def _best(self, values: NDArray[np.float64]) -> str:
        """The auxiliary by which every image is best told from all others of the sample."""
        errors = {name: self._left_out(values, known) for name, known in self._all.items()}
        return min(errors, key=lambda name: errors[name])

    def _left_out(self, values: NDArray[np.float64], known: NDArray[np.float64]) -> float:
        of_sample = known[self._chosen]
        others = of_sample.sum() - of_sample
        if not of_sample.sum():
            return math.inf
        if len(values) == 1 or not others.all():
            return math.inf if known is not self._all[_COUNT] else math.nextafter(math.inf, 0)
        told = of_sample * (values.sum() - values) / others
        return float(np.square(told - values).sum())


def share(found: int, sampled: int, images: int) -> Interval:
    """Of how many of all images a thing holds that holds for ``found`` of the sample (Wilson).

    Unlike the bootstrap it knows that what was not seen in a few images may still be there.
    """
    rate = found / sampled
    z = NormalDist().inv_cdf(1 - _TAIL)
    # Fewer images that are not seen leave less to chance: as if more had been sampled.
    unseen = (images - sampled) / max(images - 1, 1)
    size = sampled / unseen if unseen else math.inf
    below = 1 + z**2 / size
    middle = (rate + z**2 / (2 * size)) / below
    half = z * math.sqrt(rate * (1 - rate) / size + z**2 / (4 * size**2)) / below
    return Interval(
        rate * images,
        max(found, (middle - half) * images),
        min(images - sampled + found, (middle + half) * images),
    )


def _widening(sampled: int, images: int) -> float:
    """What the bootstrap's deviations lack: they know neither the sample's share nor Student."""
    if sampled == 1:
        return 0.0 if images == 1 else math.nan
    unseen = 1 - sampled / images
    free = sampled - 1
    z = NormalDist().inv_cdf(1 - _TAIL)
    return math.sqrt(unseen * sampled / free) * student(1 - _TAIL, free) / z


def student(probability: float, free: int) -> float:
    """Student's quantile with ``free`` degrees (Abramowitz and Stegun 26.7.5, its expansion)."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / free**power for power, term in enumerate(terms))
