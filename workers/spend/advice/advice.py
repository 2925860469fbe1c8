"""One piece of advice, and how its amounts are written."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from .record import Record

Verdict = Literal["gain", "fine", "unknown"]
"""gain: something can be saved; fine: nothing to gain; unknown: too little is known to say."""
ENOUGH_IMAGES: Final = 30
"""Fewer tell too little of what an image takes."""
LEAST_SHARE: Final = Decimal("0.02")
"""Of the bill: what would save less is within what changes from week to week."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to change, or why not.

    Attributes:
        topic: machine, concurrency, spot, reservation, idle, recipe, formats, …
        what: in a sentence.
        saves_usd: a month; 0 unless there is a gain.
        at_most: that is the most that it can be.
        evidence: the numbers behind it.
        change: the command or setting; empty: nothing is to be changed.
    """

    topic: str
    verdict: Verdict
    what: str
    saves_usd: Decimal = Decimal(0)
    at_most: bool = False
    evidence: tuple[str, ...] = ()
    change: str = ""


def gain(
    record: Record,
    topic: str,
    what: str,
    saves_usd: Decimal,
    *,
    evidence: tuple[str, ...],
    change: str,
    fine: str,
    at_most: bool = False,
) -> Advice:
    """Advice that saves so much a month; where that is next to nothing, that it is ``fine``."""
    if saves_usd < LEAST_SHARE * record.bill_usd * record.months or saves_usd <= 0:
        return Advice(topic, "fine", fine, evidence=evidence)
    return Advice(topic, "gain", what, saves_usd, at_most, evidence, change)


def too_few_images(topic: str, seen: int, why: str) -> Advice:
    """Nothing can be said yet; how many more images it takes."""
    more = max(1, ENOUGH_IMAGES - seen)
    noun = "image" if more == 1 else "images"
    return Advice(topic, "unknown", f"needs about {more} more {noun} {why}")


def dollars(usd: Decimal) -> str:
    """An amount to read: two digits of what is small."""
    if abs(usd) >= 1 or not usd:
        return f"${usd:,.2f}"
    digits = max(2, 1 - usd.adjusted())
    return f"${usd:.{min(digits, 9)}f}"


def percent(share: Decimal | float) -> str:
    """A share to read."""
    shown = 100 * float(share)
    return f"{shown:.0f}%" if shown >= 10 or not shown else f"{shown:.1f}%"  # noqa: PLR2004
