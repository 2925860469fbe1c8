"""What an estimate answers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config.prices import NANO

from .spend.extrapolate import CONFIDENCE
from .spend.meter import MACHINE
from .spend.quotes import INTERRUPTED_EVERY_H

if TYPE_CHECKING:
    from pixfleet.config.results import Manifest

    from .spend.extrapolate import Interval, Total
    from .spend.quotes import Quote

PARTS: Final = ("cpu", "requests", "storage", "egress")


@dataclass(frozen=True, slots=True)
class Measured:
    """One image of the sample; USD as floats, for statistics."""

    manifest: Manifest
    known: bool
    usd: dict[str, float]
    cpu_s: float
    wall_s: float
    bytes_out: int
    files: int

    @classmethod
    def of(cls, manifest: Manifest, requests_usd: Decimal, *, known: bool) -> Measured:
        """By a job's receipt, and what storing its files takes beyond it."""
        receipt = manifest.receipt
        lives = [variant.lifetime for variant in manifest.variants if variant.lifetime]
        machine_usd = receipt.lines_usd.get(MACHINE, Decimal(0))
        usd = {
            "cpu": machine_usd,
            "requests": receipt.cost_usd - machine_usd + requests_usd,
            "storage": sum((life.storage_usd for life in lives), Decimal(0)),
            "egress": sum((life.egress_usd for life in lives), Decimal(0)),
        }
        return cls(
            manifest=manifest,
            known=known,
            usd={part: float(amount) for part, amount in usd.items()},
            cpu_s=receipt.cpu_s,
            wall_s=sum(stage.wall_s for stage in receipt.stages),
            bytes_out=receipt.bytes_out,
            files=len(manifest.variants),
        )


@dataclass(frozen=True, slots=True)
class Time:
    """How long it takes with so many workers, each with a core like those here."""

    workers: int
    wall_s: float
    machine_usd: Decimal
    """of those cores for all that time, idle or not"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The answer. ``parts`` are USD, for all images."""

    images: int
    bytes_in: int | None
    sampled: tuple[Measured, ...]
    sample_s: float
    parts: dict[str, Total]
    run_usd: Interval
    life_usd: Interval
    fresh_usd: Interval
    """of the run, were nothing known"""
    cpu_s: Interval
    bytes_out: Interval
    files: Interval
    failed: Interval
    known: Interval
    times: tuple[Time, ...]
    asked: Time
    quotes: tuple[Quote, ...]
    machine: str
    price_book: str
    memo: str
    """why the memo was not asked; empty: it was"""
    seed: int

    @property
    def failures(self) -> list[Measured]:
        """Images of the sample of which something was not made."""
        return [one for one in self.sampled if one.manifest.failures]

    @property
    def elsewhere_usd(self) -> Decimal:
        """What a run costs beyond machines, and its results over their life: alike everywhere."""
        return _usd(sum(self.parts[part].expected for part in PARTS[1:]))

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "images": self.images,
            "bytes_in": self.bytes_in,
            "sampled": len(self.sampled),
            "census": len(self.sampled) == self.images,
            "seed": self.seed,
            "confidence": CONFIDENCE,
            "run_usd": _money(self.run_usd),
            "lifetime_usd": _money(self.life_usd),
            "fresh_run_usd": _money(self.fresh_usd),
            "parts_usd": {part: _money(total.interval) for part, total in self.parts.items()},
            "predicted_by": {part: total.by for part, total in self.parts.items()},
            "per_image_usd": _money(self.life_usd.times(1 / self.images)),
            "per_million_usd": _money(self.life_usd.times(1e6 / self.images)),
            "cpu_s": _rounded(self.cpu_s, 3),
            "bytes_out": _rounded(self.bytes_out),
            "files": _rounded(self.files),
            "failed": _rounded(self.failed, 1),
            "known": None if self.memo else _rounded(self.known, 1),
            "known_in_sample": sum(one.known for one in self.sampled),
            "memo": self.memo,
            "failures": [
                {
                    "source": one.manifest.source,
                    "status": one.manifest.status,
                    "failures": [f.model_dump(mode="json") for f in one.manifest.failures],
                }
                for one in self.failures
            ],
            "time": _time(self.asked),
            "times": [_time(one) for one in self.times],
            "machine": self.machine,
            "machines": [
                {
                    "machine": quote.machine,
                    "compute_usd": _exact(quote.compute_usd),
                    "rework_usd": _exact(quote.rework_usd),
                    "total_usd": _exact(self.total_usd(quote)),
                    "per_image_usd": _exact(self.total_usd(quote) / self.images),
                    "per_million_usd": _exact(self.total_usd(quote) / self.images * 10**6),
                }
                for quote in self.quotes
            ],
            "spot_interrupted_every_h": INTERRUPTED_EVERY_H,
            "price_book": self.price_book,
            "sample_s": round(self.sample_s, 3),
        }

    def total_usd(self, quote: Quote) -> Decimal:
        """All parts, with machines as quoted."""
        return quote.compute_usd + quote.rework_usd + self.elsewhere_usd


def _usd(amount: float) -> Decimal:
    return Decimal(amount).quantize(NANO)


def _exact(amount: Decimal) -> str:
    return format(amount.quantize(NANO), "f")


def _money(interval: Interval) -> dict[str, str | None]:
    return {
        end: _exact(_usd(usd)) if math.isfinite(usd) else None
        for end, usd in asdict(interval).items()
    }


def _rounded(interval: Interval, digits: int | None = None) -> dict[str, float | None]:
    return {
        end: round(value, digits) if math.isfinite(value) else None
        for end, value in asdict(interval).items()
    }


def _time(one: Time) -> dict[str, Any]:
    return {
        "workers": one.workers,
        "wall_s": round(one.wall_s, 3),
        "machine_usd": _exact(one.machine_usd),
    }
