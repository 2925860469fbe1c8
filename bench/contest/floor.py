"""The quality at which a peer keeps a floor that pixfleet keeps by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .runs import peer_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from judges.panel import Panel
    from peers.peer import Peer
    from sets.masters import Master

    from .runs import Run

STEP: Final = 8
HIGHEST: Final = 100


class AtQuality:
    """A peer over one set, at whatever quality keeps a floor; runs are made once."""

    def __init__(self, peer: Peer, masters: Sequence[Master], panel: Panel) -> None:
        self._peer = peer
        self._masters = masters
        self._panel = panel
        self._runs: dict[int, Run] = {}

    @property
    def default(self) -> Run:
        """The run at the peer's own quality."""
        return self._at(self._peer.quality)

    def _at(self, quality: int) -> Run:
        if quality not in self._runs:
            self._runs[quality] = peer_run(self._peer, self._masters, self._panel, quality)
        return self._runs[quality]

    def lowest(self, keeps: Callable[[Run], bool]) -> Run | None:
        """The run at the lowest quality that keeps the floor, raised or lowered from the default.

        None where no quality keeps it.
        """
        low = high = self._peer.quality
        if keeps(self._at(high)):
            while low > 1 and keeps(self._at(low)):
                low, high = max(1, low - STEP), low
        else:
            while not keeps(self._at(high)):
                if high == HIGHEST:
                    return None
                low, high = high, min(HIGHEST, high + STEP)
        while high - low > 1:
            middle = (low + high) // 2
            if keeps(self._at(middle)):
                high = middle
            else:
                low = middle
        return self._at(high)
