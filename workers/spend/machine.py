"""What one worker process pays for: a part of a machine, by the second."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pixfleet.config.prices import NANO, to_nano
from pixfleet.config.worker_settings import usable_cores

from .detection import charged

if TYPE_CHECKING:
    from pixfleet.config.prices import PriceBook, Rates
    from pixfleet.config.settings import Settings

_NANOSECONDS: Final = 10**9


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's rates, and how much of it a worker has.

    Attributes:
        rates: of its time.
        vcpus: that the worker is charged for, whatever it does with them.
        warning: why the rates may not be the machine's own, and how to mend it; empty: they are.
    """

    rates: Rates
    vcpus: float
    warning: str = ""

    @property
    def core_nano(self) -> int:
        """Nano-dollars of a core's second, rounded."""
        return to_nano(self.rates.core_second_usd)

    def capacity_nano(self, wall_ns: int) -> int:
        """What the worker costs for being there so long, nano-dollars."""
        return self.cores_nano(wall_ns * self.vcpus)

    def cores_nano(self, core_ns: float) -> int:
        """What so many nanoseconds of one core cost, nano-dollars."""
        return int(Decimal(core_ns) / _NANOSECONDS * self.rates.core_second_usd / NANO)


def this_machine(settings: Settings, book: PriceBook, children: int) -> Machine:
    """What a worker with so many children pays for here: all of a machine that was found.

    Raises:
        PriceError: the book does not have what was set.
    """
    here = charged(settings, book)
    return Machine(
        rates=here.rates,
        vcpus=settings.money.vcpus or here.vcpus or min(children, usable_cores()),
        warning=here.warning,
    )
