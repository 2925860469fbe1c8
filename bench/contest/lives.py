"""What a picture costs over its life: made once, kept for months, sent to every viewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pixfleet.config.prices import PriceBook

GB: Final = 10**9
PARTS: Final[tuple[str, ...]] = ("compute", "requests", "storage", "egress")


@dataclass(frozen=True, slots=True)
class Life:
    """How a picture lives.

    Attributes:
        name: of this kind of life.
        months: for which it is kept.
        views: in all that time.
    """

    name: str
    months: float
    views: int


LIVES: Final = (
    Life("archive", 12, 1),
    Life("catalogue", 12, 200),
    Life("hero", 1, 100_000),
)


def cost_usd(life: Life, book: PriceBook, cpu_s: float, size: float) -> dict[str, float]:
    """Of one picture, by ``PARTS``, in US dollars.

    CPU seconds at the book's vCPU second on spot, one PUT, its bytes stored for all months and sent
    for all views. What is the same for every encoder (the source, its GET, the views' GETs, the
    queue) is left out.
    """
    gigabytes = size / GB
    return {
        "compute": cpu_s * float(book.vcpu_second_usd()),
        "requests": float(book.request_usd("s3_put")),
        "storage": gigabytes * float(book.storage_gb_month.each_usd) * life.months,
        "egress": gigabytes * float(book.egress_gb.each_usd) * life.views,
    }
