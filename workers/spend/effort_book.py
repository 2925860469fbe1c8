"""What the fleet's own runs say of its encoders' efforts, kept in Redis."""

from __future__ import annotations

import time
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import redis
import structlog

from pixfleet.config import keys
from pixfleet.workers.imaging.efforts import MEASURED, Effort, EffortCurves

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pixfleet.workers.imaging.efforts import Seen

_log = structlog.get_logger(__name__)
# What was measured beforehand counts as so many observations, and of those of the fleet so many
# count that the curves follow a new machine within some hundred images.
_PRIOR_COUNT: Final = 20
_MOST_COUNT: Final = 200
_READ_EVERY_S: Final = 60.0


class EffortBook:
    """Reads the curves at most once a minute, and adds what searches saw.

    Without Redis what was measured beforehand has to do: no job fails for want of a curve.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client: Any = client
        folder = resources.files("pixfleet.workers.spend")
        self._learn = client.register_script((folder / "learn.lua").read_text(encoding="utf-8"))
        self._curves = EffortCurves()
        self._read_at_s = -_READ_EVERY_S

    def curves(self) -> EffortCurves:
        """What to expect of every effort now."""
        if time.monotonic() - self._read_at_s >= _READ_EVERY_S:
            self._read_at_s = time.monotonic()
            try:
                kept: Mapping[bytes, bytes] = self._client.hgetall(keys.EFFORTS)
            except redis.RedisError as error:
                _log.warning("efforts.not_read", reason=str(error))
            else:
                self._curves = EffortCurves(_efforts({k.decode(): v for k, v in kept.items()}))
        return self._curves

    def learn(self, seen: Iterable[Seen]) -> None:
        """Add what searches saw."""
        pairs: list[str | float] = []
        for one in seen:
            pairs += [_field(one.format, one.effort, "cpu"), one.cpu_s_per_mp]
            if one.bytes_share is not None:
                pairs += [_field(one.format, one.effort, "share"), one.bytes_share]
        if not pairs:
            return
        try:
            self._learn(keys=[keys.EFFORTS], args=[_MOST_COUNT, *pairs])
        except redis.RedisError as error:
            _log.warning("efforts.not_kept", reason=str(error))


def _field(format_name: str, effort: int, what: str) -> str:
    return f"{format_name}:{effort}:{what}"


def _efforts(kept: Mapping[str, bytes]) -> dict[tuple[str, int], Effort]:
    def mean(name: str, effort: int, what: str, prior: float) -> float:
        field = _field(name, effort, what)
        count = int(kept.get(f"{field}:n", 0))
        seen = float(kept.get(field, 0.0))
        return (prior * _PRIOR_COUNT + seen * count) / (_PRIOR_COUNT + count)

    return {
        (name, effort): Effort(
            mean(name, effort, "cpu", prior.cpu_s_per_mp),
            mean(name, effort, "share", prior.bytes_share),
        )
        for (name, effort), prior in MEASURED.items()
    }
