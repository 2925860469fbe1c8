"""What each encoder's efforts take and spare: measured, and refreshed by the fleet's runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Effort:
    """One setting of an encoder, on average.

    Attributes:
        cpu_s_per_mp: of one probe of a search: encode, decode and score.
        bytes_share: of what the format's least effort takes at the same score.
    """

    cpu_s_per_mp: float
    bytes_share: float


_EFFORT_NAMES: Final = {"webp": "method", "avif": "speed", "jxl": "effort"}

MEASURED: Final[dict[tuple[str, int], Effort]] = {
    ("jpeg", 0): Effort(0.045, 1.0),
    ("webp", 2): Effort(0.074, 1.0),
    ("webp", 4): Effort(0.118, 0.937),
    ("webp", 6): Effort(0.198, 0.899),
    ("avif", 9): Effort(0.118, 1.0),
    ("avif", 8): Effort(0.327, 0.852),
    ("avif", 7): Effort(0.475, 0.835),
    ("avif", 6): Effort(0.745, 0.802),
    ("avif", 4): Effort(3.911, 0.764),
    ("avif", 2): Effort(11.325, 0.747),
    ("jxl", 3): Effort(0.085, 1.0),
    ("jxl", 5): Effort(0.238, 0.942),
    ("jxl", 8): Effort(1.405, 0.929),
    ("heic", 0): Effort(1.4, 1.0),
    ("png", 0): Effort(0.3, 1.0),
}
"""By format and the encoder's own number, least effort first; ``bench/efforts.py`` made them."""


_GRAPHIC_SHARES: Final = {
    ("avif", 8): 0.51,
    ("avif", 7): 0.38,
    ("avif", 6): 0.33,
    ("avif", 4): 0.30,
    ("avif", 2): 0.29,
}
"""Where drawn pictures gain much more: libaom's tools for screens are off at its least effort."""


class EffortCurves:
    """Every effort of every format, with what is known of it.

    Args:
        seen: what a fleet saw of some of them, in place of ``MEASURED``.
    """

    def __init__(self, seen: Mapping[tuple[str, int], Effort] | None = None) -> None:
        self._known = MEASURED | dict(seen or {})

    def cpu_s_per_mp(self, format_name: str, effort: int) -> float:
        """Of one probe of a search."""
        return self._known[format_name, effort].cpu_s_per_mp

    def bytes_share(self, format_name: str, effort: int, *, graphic: bool = False) -> float:
        """Of what the format's least effort takes; of a ``graphic``, a drawn picture, where set."""
        key = format_name, effort
        if graphic and key in _GRAPHIC_SHARES:
            return _GRAPHIC_SHARES[key]
        return self._known[key].bytes_share


def efforts_of(format_name: str) -> tuple[int, ...]:
    """A format's efforts, the least first."""
    return tuple(effort for name, effort in MEASURED if name == format_name)


def effort_label(format_name: str, effort: int) -> str:
    """In the encoder's words, like "speed 8"; empty where a format has but one effort."""
    name = _EFFORT_NAMES.get(format_name)
    return f"{name} {effort}" if name else ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one search tells of an effort.

    Attributes:
        format, effort: which.
        cpu_s_per_mp: as in ``Effort``.
        bytes_share: as in ``Effort``; None where the least effort was not tried on the same pixels.
    """

    format: str
    effort: int
    cpu_s_per_mp: float
    bytes_share: float | None
