"""A recipe's promise on quality, as the encoders take it."""

from __future__ import annotations

from pixfleet.config import contract

from .imaging.floors import Floors


def target_and_floors(quality: float | contract.Floors) -> tuple[float, Floors | None]:
    """The target of a search; with two floors that is the salient one, and both come with it."""
    if isinstance(quality, contract.Floors):
        return quality.salient, Floors(quality.salient, quality.background)
    return quality, None
