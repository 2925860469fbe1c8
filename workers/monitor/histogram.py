"""How long things took, in buckets that grow by the square root of 2: sums of them are exact."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LAST: Final = 42
"""Bucket of all that took longer than the one before it allows, half an hour."""


def bound_s(bucket: int) -> float:
    """Longest time that a bucket counts: 1 ms for 0, then the square root of 2 as much."""
    return 0.001 * 2 ** (bucket / 2)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bucket; ``producer/prelude_seen.lua`` fills them."""

    counts: Mapping[int, int] = field(default_factory=dict[int, int])
    sum_us: int = 0

    @property
    def count(self) -> int:
        """Of everything that was timed."""
        return sum(self.counts.values())

    @property
    def mean_s(self) -> float | None:
        """Arithmetic mean; None of nothing."""
        return self.sum_us / 1e6 / self.count if self.count else None

    def plus(self, other: Histogram) -> Histogram:
        """Both together."""
        counts = dict(Counter(self.counts) + Counter(other.counts))
        return Histogram(counts, self.sum_us + other.sum_us)

    def since(self, earlier: Histogram) -> Histogram:
        """What came after an earlier state; all, where the ledger began anew in between."""
        counts = {
            bucket: count - earlier.counts.get(bucket, 0) for bucket, count in self.counts.items()
        }
        anew = self.sum_us < earlier.sum_us or any(count < 0 for count in counts.values())
        if anew:
            return self
        some = {bucket: count for bucket, count in counts.items() if count}
        return Histogram(some, self.sum_us - earlier.sum_us)

    def quantile_s(self, share: float) -> float | None:
        """The time that a ``share`` (0 to 1) took at most; None of nothing.

        Exact to a bucket, within which times are taken to be spread evenly by their logarithm.
        """
        rank, passed = share * self.count, 0
        for bucket in sorted(self.counts):
            count = self.counts[bucket]
            if count and passed + count >= rank:
                return bound_s(bucket) * 2 ** (((rank - passed) / count - 1) / 2)
            passed += count
        return None

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Bounds that are powers of 2 in ms, in seconds, with how many took at most so long."""
        passed = 0
        for bucket in range(LAST):
            passed += self.counts.get(bucket, 0)
            if bucket % 2 == 0:
                yield bound_s(bucket), passed
