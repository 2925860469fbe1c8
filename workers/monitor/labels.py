"""Labels of metrics, which must stay few whatever tenants and recipes are called."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST: Final = 50
_LONGEST: Final = 100
"""Characters; a foreign message may call its recipe anything."""
OTHER: Final = "other"


class NamedFew:
    """The names that counters have, the most frequent ones that came first; the rest are ``other``.

    Who is named stays named: a counter that became smaller would seem to begin anew.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._names: set[str] = set()

    def learn(self, sizes: Mapping[str, int]) -> None:
        """Name those that are new, as long as there is room."""
        for name in sorted(sizes.keys() - self._names, key=lambda name: (-sizes[name], name)):
            if len(self._names) >= self._most:
                return
            self._names.add(name)

    def label(self, name: str) -> str:
        """What it is called."""
        return name[:_LONGEST] if name in self._names else OTHER


def largest(sums: Mapping[str, Decimal], others: str) -> dict[str, Decimal]:
    """The largest of them, and the sum of the rest as ``others``, where there are more."""
    ordered = sorted(sums, key=lambda name: (-sums[name], name))
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for place, name in enumerate(ordered):
        found[name[:_LONGEST] if place < MOST else others] += sums[name]
    return dict(found)
