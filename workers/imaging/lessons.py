"""What the searches of one image teach those that follow."""

from __future__ import annotations

import math
from typing import Final

# How much of one encoder's surprise is another's.
_SHARED: Final = 0.75


class Lessons:
    """The surprises of one image (``search.surprise_of``) and the limits of encoders on it.

    An image that an encoder distorts more than its texture foretells is distorted more at its other
    sizes too, and by other encoders. One object serves all sizes and formats of an image, one
    thread at a time. It moves where a search begins and so, within the promise, which quality it
    ends at: the same sizes in the same order give the same bytes; fewer of them (the rest
    remembered, or encoded elsewhere) may give others that keep the same promise.
    """

    def __init__(self) -> None:
        self._own: dict[str, float] = {}
        self._of_format: dict[str, float] = {}
        self._latest: str | None = None
        self._missed: dict[str, float] = {}

    def learn(self, encoder: str, format_name: str, surprise: float) -> None:
        """Keep what a search that reached its target found."""
        self._own[encoder] = self._of_format[format_name] = surprise
        self._latest = encoder

    def expected(self, encoder: str, format_name: str) -> float:
        """The surprise to expect.

        The encoder's own at another size, else that of its format at another effort, else a share
        of the latest.
        """
        if encoder in self._own:
            return self._own[encoder]
        if format_name in self._of_format:
            return self._of_format[format_name]
        return _SHARED * self._own[self._latest] if self._latest else 0.0

    def miss(self, encoder: str, target: float) -> None:
        """Keep that the encoder cannot reach ``target`` on this image, at any quality."""
        self._missed[encoder] = min(target, self._missed.get(encoder, target))

    def in_reach(self, encoder: str, target: float) -> bool:
        """Not yet known to be out of the encoder's reach."""
        return target < self._missed.get(encoder, math.inf)
