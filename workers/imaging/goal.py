"""What the choice among candidates makes least."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Goal:
    """Weights of a candidate's CPU seconds and bytes, in one unit: dollars, or either alone.

    Attributes:
        cpu_s_weight: of a CPU second.
        byte_weight: of a byte.
        byte_weights: of a byte by format, where formats differ in how often they are sent.
        max_cpu_s_per_mp: what a variant may take in all, CPU seconds a megapixel; efforts beyond
            the least are not begun where they would exceed it.
    """

    cpu_s_weight: float
    byte_weight: float
    byte_weights: Mapping[str, float] = field(default_factory=dict[str, float])
    max_cpu_s_per_mp: float = 8.0

    def weight(self, format_name: str, size: float, cpu_s: float) -> float:
        """Of a candidate of ``size`` bytes that takes ``cpu_s``; the least one wins."""
        byte_weight = self.byte_weights.get(format_name, self.byte_weight)
        return cpu_s * self.cpu_s_weight + size * byte_weight


FEWEST_AT_LEAST_EFFORT: Final = Goal(0.0, 1.0, max_cpu_s_per_mp=0.0)
"""The fewest bytes of every encoder's least effort."""
