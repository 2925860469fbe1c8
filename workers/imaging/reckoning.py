"""What to expect of formats and efforts on one image before they are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .efforts import EffortCurves

TYPICAL_BYTES_PER_PX: Final = 0.12
PROBES: Final = 2.2
"""Encodings that a search takes."""
# An encoder's CPU grows with what there is to code: at typical bytes it is 1.
_CPU_OF_NOTHING: Final = 0.4
_MOST_TYPICAL: Final = 3.0
_CPU_OF_FLOORS: Final = 3.5
"""A search under two floors over one for a single target."""


class Reckoning:
    """Expectations by effort curves.

    Args:
        curves: of an average image.
        px: how many there are.
        graphic: drawn, not photographed.
        floors: two are to be kept.
    """

    def __init__(self, curves: EffortCurves, px: int, *, graphic: bool, floors: bool) -> None:
        self._curves = curves
        self._px = px
        self._graphic = graphic
        self._times = _CPU_OF_FLOORS if floors else 1.0

    def cpu_s(
        self, name: str, effort: int, *, probes: float = PROBES, size: float | None = None
    ) -> float:
        """CPU seconds of a search; ``size`` are the bytes of the file, None where unknown."""
        cpu_s_per_mp = self._curves.cpu_s_per_mp(name, effort) * self._times
        return probes * cpu_s_per_mp * self._px / 1e6 * (1.0 if size is None else self.busy(size))

    def share(self, name: str, effort: int) -> float:
        """Of the bytes that the format's least effort takes."""
        return self._curves.bytes_share(name, effort, graphic=self._graphic)

    def busy(self, size: float) -> float:
        """How much CPU a picture takes that codes to ``size`` bytes, over a typical one."""
        typical = min(_MOST_TYPICAL, size / (TYPICAL_BYTES_PER_PX * self._px))
        return _CPU_OF_NOTHING + (1 - _CPU_OF_NOTHING) * typical
