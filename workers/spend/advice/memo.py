"""What remembering results is worth."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import from_nano

from .advice import ENOUGH_IMAGES, Advice, dollars, gain, percent, too_few_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .record import Record, Remembered

_MEMO: Final = "memo"
_GB: Final = 10**9
_FULL: Final = 0.9


def memo(record: Record) -> Iterator[Advice]:
    """What it saved against its own stage and its storage."""
    if record.images < ENOUGH_IMAGES:
        yield too_few_images(_MEMO, record.images, "to see how many come again")
        return
    kept = record.memo
    stage = sum((work.stages.get(_MEMO, Decimal(0)) for work in record.works), Decimal(0))
    if not stage and not record.count("memo_hits"):
        yield Advice(
            _MEMO,
            "unknown",
            "the memo was off; whether images come again is not known",
            change="PIXFLEET_MEMO_ENABLED=true",
        )
        return
    storage = _storage_usd(record, kept) if kept else Decimal(0)
    saved = from_nano(record.count("saved_nano_usd"))
    worth = (saved - stage) * record.months - storage
    billed = f"{dollars(storage)} a month" if kept and kept.billed else "nothing"
    evidence = [
        f"{record.count('memo_hits'):,} hits spared {dollars(saved)}",
        f"its stage cost {dollars(stage)}, to keep its files costs {billed}",
    ]
    if kept:
        asked = kept.hits + kept.misses
        rate = percent(kept.hits / asked) if asked else "–"
        evidence.append(
            f"{rate} of {asked:,} look-ups hit so far; {_bytes(kept.bytes)} of "
            f"{_bytes(kept.max_bytes)} are in use"
        )
    yield gain(
        record,
        _MEMO,
        "switch the memo off: images hardly come again",
        -worth,
        evidence=tuple(evidence),
        change="PIXFLEET_MEMO_ENABLED=false",
        fine=f"the memo saves {dollars(worth)} a month"
        if worth > 0
        else "the memo costs next to nothing, and has saved less so far",
    )
    if kept and kept.max_bytes and kept.bytes > _FULL * kept.max_bytes:
        yield Advice(
            _MEMO,
            "unknown",
            "the memo is full and forgets what was not used for longest; whether that would have "
            "come again is not known",
            evidence=(f"twice the room costs up to {dollars(_full_usd(record, kept))} a month",),
            change=f"PIXFLEET_MEMO_MAX_BYTES={2 * kept.max_bytes}",
        )


def _storage_usd(record: Record, kept: Remembered) -> Decimal:
    """A month of its files, where they are paid by the gigabyte."""
    return record.book.storage_gb_month.usd * kept.bytes / _GB if kept.billed else Decimal(0)


def _full_usd(record: Record, kept: Remembered) -> Decimal:
    return record.book.storage_gb_month.usd * kept.max_bytes / _GB if kept.billed else Decimal(0)


def _bytes(count: int) -> str:
    return f"{count / _GB:.1f} GB" if count >= _GB else f"{count / 10**6:.1f} MB"
