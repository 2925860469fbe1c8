"""Passages through stages, as a receipt keeps them: a job's way, without a collector of traces."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config.results import StageSpan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pixfleet.config.results import Receipt

MOST_SPANS: Final = 200
"""Of a job; some 20 bytes each in a compressed manifest."""
_DIGITS: Final = 4
"""A tenth of a millisecond: more digits tell nothing and do not compress."""


@dataclass(slots=True)
class Passage:
    """One passage through a stage; who passes says what is known of it."""

    stage: str
    detail: str = ""
    """the variant, or variant.format"""
    format: str = ""
    """of the file that is read or written"""
    pixels: int = 0
    bytes: int = 0
    memo_hit: bool | None = None
    """None: the memo was not asked"""
    given_up: bool = False
    """it would not have come below what others took, which is no failure"""
    began_at: float = 0.0
    """UTC seconds"""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    cost_usd: Decimal = Decimal(0)
    """of its own machine time, without the passages inside it"""

    def attributes(self) -> dict[str, Any]:
        """What a trace's span says of it; what is not known is left out."""
        known = {
            "pixfleet.variant": self.detail.partition(".")[0],
            "pixfleet.format": self.format,
            "pixfleet.pixels": self.pixels,
            "pixfleet.bytes": self.bytes,
        }
        told: dict[str, Any] = {name: value for name, value in known.items() if value}
        if self.memo_hit is not None:
            told["pixfleet.memo_hit"] = self.memo_hit
        if self.given_up:
            told["pixfleet.given_up"] = True
        told["pixfleet.cpu_s"] = round(self.cpu_s, _DIGITS)
        told["pixfleet.cost_usd"] = float(self.cost_usd)
        return told


def spans_of(passages: Iterable[Passage], worker: str) -> tuple[float, tuple[StageSpan, ...]]:
    """When the first passage began, UTC seconds (0: there is none), and their spans in time order.

    Of more than ``MOST_SPANS``, the longest.
    """
    ordered = sorted(passages, key=lambda passage: (passage.began_at, -passage.wall_s))
    if not ordered:
        return 0.0, ()
    began_at = round(ordered[0].began_at, _DIGITS)
    spans = [
        StageSpan(
            stage=passage.stage,
            detail=passage.detail,
            began_s=round(max(0.0, passage.began_at - began_at), _DIGITS),
            wall_s=round(passage.wall_s, _DIGITS),
            cpu_s=round(passage.cpu_s, _DIGITS),
            bytes=passage.bytes,
            worker=worker,
        )
        for passage in ordered
    ]
    return began_at, _longest(spans)


def began_and_spans(receipts: Sequence[Receipt]) -> tuple[float, tuple[StageSpan, ...]]:
    """The same for several receipts, whose steps may have been on several machines."""
    timed = [receipt for receipt in receipts if receipt.spans]
    if not timed:
        return 0.0, ()
    began_at = min(receipt.began_at for receipt in timed)
    spans = [
        span.model_copy(
            update={"began_s": round(span.began_s + receipt.began_at - began_at, _DIGITS)}
        )
        for receipt in timed
        for span in receipt.spans
    ]
    return began_at, _longest(sorted(spans, key=lambda span: (span.began_s, -span.wall_s)))


def _longest(spans: Sequence[StageSpan]) -> tuple[StageSpan, ...]:
    if len(spans) <= MOST_SPANS:
        return tuple(spans)
    least_s = sorted(span.wall_s for span in spans)[-MOST_SPANS]
    return tuple(span for span in spans if span.wall_s >= least_s)[:MOST_SPANS]
