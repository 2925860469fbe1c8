"""The judges together: SSIMULACRA2, which drives pixfleet's search, and two that do not."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pixfleet.workers.imaging.codec import load
from pixfleet.workers.imaging.original import flattened
from sets.masters import PAPER

from .butteraugli import Butteraugli
from .ms_ssim import decibels, ms_ssim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sets.masters import Master

    Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Judge:
    """One judge's name and which way its scale goes.

    Attributes:
        sign: 1 where more is better, -1 where less is.
    """

    name: str
    sign: int

    def worst(self, values: Sequence[float]) -> float:
        """The worst of them."""
        return min(values, key=lambda value: self.sign * value)

    def told(self, values: Sequence[float]) -> str:
        """Their mean and the worst, for a table; a dash where the judge said nothing."""
        mean = float(np.mean(values))
        return "–" if np.isnan(mean) else f"{mean:.2f}, {self.worst(values):.2f}"


SSIMULACRA2: Final = Judge("SSIMULACRA2", 1)
BUTTERAUGLI: Final = Judge("butteraugli", -1)
MS_SSIM: Final = Judge("MS-SSIM dB", 1)
SECOND_JUDGES: Final = (BUTTERAUGLI, MS_SSIM)


class Panel:
    """All judges; alpha is judged on ``PAPER``. butteraugli says nan where it is not installed."""

    def __init__(self) -> None:
        self._butteraugli: Butteraugli | None = None
        try:
            self._butteraugli = Butteraugli()
        except FileNotFoundError as error:
            print(f"{error}; without it that judge says nothing", file=sys.stderr)

    def values(
        self, judge: Judge, masters: Sequence[Master], files: Sequence[bytes]
    ) -> tuple[float, ...]:
        """What the judge says of each file against its master."""
        return tuple(
            self.value(judge, master, decoded(data))
            for master, data in zip(masters, files, strict=True)
        )

    def value(self, judge: Judge, master: Master, coded: Pixels) -> float:
        """Of (H, W, 3) uint8 pixels, alpha already on ``PAPER``."""
        if judge is SSIMULACRA2:
            return master.reference.score(coded)
        if judge is MS_SSIM:
            return decibels(ms_ssim(master.flat, coded))
        return self._butteraugli.distance(master.flat, coded) if self._butteraugli else float("nan")


def decoded(data: bytes) -> Pixels:
    """(H, W, 3) uint8 of a finished file, alpha on ``PAPER``."""
    return np.ascontiguousarray(flattened(load(data), PAPER))
