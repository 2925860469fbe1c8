"""What came about between two readings, by the second."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from .histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .collect import Reading

_HOUR_S: Final = 3600
_NOTHING: Final = Histogram()


@dataclass(frozen=True, slots=True)
class Rates:
    """Between two readings of one fleet.

    Attributes:
        over_s: seconds between them, above 0.
        images_per_s: that ended, well or not.
        failed_per_s: of them, failed or partial.
        pixels_per_s: of sources.
        bytes_in_per_s, bytes_out_per_s: of sources and variants.
        recalled_share: of the variants, from the memo, 0 to 1; None where none was made.
        spent_usd: in all that time, idle machines included.
        took: of what ended in that time, by job phase and stage.
        failures: in that time, by code.
    """

    over_s: float
    images_per_s: float
    failed_per_s: float
    pixels_per_s: float
    bytes_in_per_s: float
    bytes_out_per_s: float
    recalled_share: float | None
    spent_usd: Decimal
    took: Mapping[str, Histogram]
    failures: Mapping[str, int]

    @property
    def usd_per_hour(self) -> Decimal:
        """What an hour at this rate costs."""
        return self.spent_usd / Decimal(self.over_s) * _HOUR_S


def rates(earlier: Reading, later: Reading) -> Rates | None:
    """What came about between two readings; None where no time passed between them.

    A ledger that lost its memory in between counts from nothing.
    """
    over_s = later.at_s - earlier.at_s
    if over_s <= 0:
        return None

    sums = more(earlier.totals, later.totals)
    spent_usd = later.spent_usd - earlier.spent_usd
    variants = sums.get("variants")
    return Rates(
        over_s=over_s,
        images_per_s=sums.get("images", 0) / over_s,
        failed_per_s=sums.get("failed", 0) / over_s,
        pixels_per_s=sums.get("pixels", 0) / over_s,
        bytes_in_per_s=sums.get("bytes_in", 0) / over_s,
        bytes_out_per_s=sums.get("bytes_out", 0) / over_s,
        recalled_share=sums.get("recalled", 0) / variants if variants else None,
        spent_usd=later.spent_usd if spent_usd < 0 else spent_usd,
        took={
            name: taken.since(earlier.took.get(name, _NOTHING))
            for name, taken in later.took.items()
        },
        failures=more(earlier.failures, later.failures),
    )


def more(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """What sums have grown by, where they have; one that is lower than before began anew."""
    grown = {name: count - before.get(name, 0) for name, count in now.items()}
    return {name: now[name] if by < 0 else by for name, by in grown.items() if by}
