"""Planes that are written over and over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]


class Scratch:
    """Named float32 planes for the steps of one strip, kept for the next strip.

    A fresh plane is cold memory: an addition into one takes three times as long as into a warm one.
    For one thread; a plane is its last taker's.
    """

    def __init__(self) -> None:
        self._flat: dict[str, Plane] = {}

    def plane(self, name: str, shape: tuple[int, ...]) -> Plane:
        """(H, W) float32 with whatever was left in it."""
        height, width = shape
        flat = self._flat.get(name)
        if flat is None or flat.size < height * width:
            flat = self._flat[name] = np.empty(height * width, np.float32)
        return flat[: height * width].reshape(height, width)
