"""What a peer is: an encoder that a user sets to one quality for all pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sets.masters import Master


@dataclass(frozen=True, slots=True)
class Batch:
    """Files of one encoder, in the masters' order, and the CPU seconds that each took."""

    files: tuple[bytes, ...]
    cpu_s: tuple[float, ...]


class Peer(Protocol):
    """An encoder with one quality for all pictures."""

    @property
    def name(self) -> str:
        """As tables show it."""
        ...

    @property
    def format(self) -> str:
        """jpeg, webp or avif."""
        ...

    @property
    def quality(self) -> int:
        """Its default."""
        ...

    def encode(self, masters: Sequence[Master], quality: int) -> Batch:
        """All masters, really encoded; those with alpha on paper where the format has none."""
        ...
