"""What a variant costs over its life, and which of that its making can make less."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pixfleet.config.audience import serving_shares
from pixfleet.config.prices import NANO, PriceError, load_prices
from pixfleet.config.results import LifetimeCost
from pixfleet.workers.errors import RecipeError
from pixfleet.workers.imaging.goal import Goal

if TYPE_CHECKING:
    from pixfleet.config.contract import Format, Recipe, VariantSpec
    from pixfleet.config.prices import PriceBook

_GB: Final = 10**9
_STORED: Final = "s3_put"
_OFFERED: Final[tuple[Format, ...]] = ("avif", "jxl", "webp", "heic", "jpeg", "png")
"""As a page offers them, the likely smallest first."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Prices of one variant's life, USD.

    Attributes:
        cpu_second_usd: of one vCPU.
        file_usd: to store one file.
        kept_byte_usd: a byte, for the recipe's retention.
        sent_byte_usd: a byte, in all of the recipe's views.
        shares: of the views by format: all, or where every format is made, what each will serve.
        retention_months: how long it is kept.
        views: of the recipe.
    """

    cpu_second_usd: Decimal
    file_usd: Decimal
    kept_byte_usd: Decimal
    sent_byte_usd: Decimal
    shares: dict[Format, Decimal]
    retention_months: float
    views: int

    @classmethod
    def of(
        cls, recipe: Recipe, spec: VariantSpec, prices: PriceBook, cpu_second_usd: Decimal
    ) -> Lifetime:
        """As the recipe says it will live, at these prices."""
        formats = sorted(spec.formats, key=_OFFERED.index)
        alike = dict.fromkeys(formats, 1.0)
        shares = serving_shares(formats, recipe.audience) if spec.pick == "each" else alike
        return cls(
            cpu_second_usd=cpu_second_usd,
            file_usd=prices.request_usd(_STORED),
            kept_byte_usd=prices.storage_gb_month.usd * Decimal(recipe.retention_months) / _GB,
            sent_byte_usd=prices.egress_gb.usd * recipe.views / _GB,
            shares={name: Decimal(share) for name, share in shares.items()},
            retention_months=recipe.retention_months,
            views=recipe.views,
        )

    def cost(self, name: Format, size: int, cpu_s: float) -> LifetimeCost:
        """Of a file of ``size`` bytes that took ``cpu_s``, each line to the nano-dollar."""
        compute, requests, storage, egress = (
            usd.quantize(NANO)
            for usd in (
                Decimal(cpu_s) * self.cpu_second_usd,
                self.file_usd,
                size * self.kept_byte_usd,
                size * self.sent_byte_usd * self.shares[name],
            )
        )
        return LifetimeCost(
            retention_months=self.retention_months,
            views=round(self.views * float(self.shares[name]), 3),
            compute_usd=compute,
            requests_usd=requests,
            storage_usd=storage,
            egress_usd=egress,
            total_usd=compute + requests + storage + egress,
        )

    def goal(self, recipe: Recipe) -> Goal:
        """The recipe's objective as weights of CPU seconds and bytes."""
        limit = recipe.max_cpu_s_per_mp
        match recipe.objective:
            case "smallest":
                return Goal(0.0, 1.0, max_cpu_s_per_mp=limit)
            case "fastest":
                return Goal(1.0, 0.0, max_cpu_s_per_mp=0.0)
            case "cheapest":
                byte_usd = {
                    name: float(self.kept_byte_usd + self.sent_byte_usd * share)
                    for name, share in self.shares.items()
                }
                return Goal(float(self.cpu_second_usd), max(byte_usd.values()), byte_usd, limit)


def price_book(name_or_path: str) -> tuple[PriceBook, Decimal]:
    """A recipe's own price book, and what its machine's CPU costs: spot where it is offered.

    Raises:
        RecipeError: ``price_book``: there is no such book, or it is faulty.
    """
    try:
        book = load_prices(name_or_path)
        spot = book.instances[book.instance].spot is not None
        return book, book.rates(purchase="spot" if spot else "on_demand").core_second_usd
    except (PriceError, KeyError) as error:
        raise RecipeError(
            "price_book", f"price_book = {name_or_path!r}: {error}", "Mend the recipe's price_book."
        ) from None
