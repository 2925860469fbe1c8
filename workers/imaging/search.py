"""The search for the quality that just keeps a promise."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .codec import QualityScale
    from .texture import Texture

BELOW: Final = 0.5
"""A score this far under the target still keeps the promise."""

_CAUTIOUS_AIM: Final = 1.5
_LEAST_DISTORTION: Final = 0.5
_MOST_PREDICTED: Final = 0.4
_LEAST_SAVING: Final = 0.02
_CAPPED_GAIN: Final = 0.35
_TELLING_GAIN: Final = 0.08


@dataclass(frozen=True, slots=True)
class Probe:
    """One encoding, decoded and scored in full."""

    quality: float
    data: bytes
    score: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a search ended.

    Attributes:
        best: the smallest probe within the promise; else the one of the highest score.
        reached: ``best`` is within the promise.
        probes: how many encodings were tried.
        topped: the highest quality was among them, or would not have helped.
        abandoned: the caller gave it up before it could end.
    """

    best: Probe
    reached: bool
    probes: int
    topped: bool
    abandoned: bool = False


def predicted_quality(
    scale: QualityScale, texture: Texture, target: float, surprise: float = 0.0
) -> float:
    """Where to begin: the quality at which an image of this texture should score ``target``.

    ``surprise`` is what earlier searches let expect (``lessons.Lessons``).
    """
    excess = _predicted_excess(scale, texture) + surprise
    wanted = _quality(scale, _log_distortion(_aim(scale, target)) - excess)
    return _nearest(scale.qualities, wanted)


def surprise_of(probe: Probe, scale: QualityScale, texture: Texture) -> float:
    """How much more an image is distorted than its texture foretold; a difference of logarithms."""
    excess = _log_distortion(probe.score) - _typical(scale, probe.quality)
    return excess - _predicted_excess(scale, texture)


def _predicted_excess(scale: QualityScale, texture: Texture) -> float:
    excess = float(np.dot(scale.predictor, texture))
    return min(_MOST_PREDICTED, max(-_MOST_PREDICTED, excess))


def search(
    trial: Callable[[float], Probe],
    scale: QualityScale,
    target: float,
    *,
    start: float,
    max_probes: int,
    give_up_when_capped: bool = False,
    hopeless: Callable[[Probe], bool] | None = None,
) -> Outcome:
    """Find the lowest quality that scores at least ``target - 0.5``.

    It stops at the first score no more than ``scale.near`` over the target.

    Every encoder's distortion (100 - SSIMULACRA2) on one image is nearly a multiple of its typical
    distortion at the same quality. So the search runs on the logarithms of both: after one probe
    it shifts the typical curve, after two it takes the secant through the two nearest probes.

    Args:
        trial: encodes at a quality, decodes, scores; called at most ``max_probes`` times.
        scale: the encoder's quality numbers.
        target: SSIMULACRA2 to reach.
        start: the first quality to try.
        max_probes: at least 1; the last one is spent with caution when none has passed yet.
        give_up_when_capped: stop as soon as quality hardly raises the score any more (halved chroma
            does that to drawn edges), for a caller with a better encoder at hand.
        hopeless: called with each probe; True ends the search early.
    """
    probes: list[Probe] = []
    quality: float | None = start
    while quality is not None and len(probes) < max_probes:
        probe = trial(quality)
        probes.append(probe)
        if hopeless is not None and hopeless(probe):
            return _outcome(probes, scale, target, abandoned=True)
        if -BELOW <= probe.score - target <= scale.near:
            break
        if give_up_when_capped and _capped(probes, scale, target):
            return replace(_outcome(probes, scale, target), topped=True)
        quality = _next(probes, scale, target, last=len(probes) == max_probes - 1)
    return _outcome(probes, scale, target)


def _outcome(
    probes: Sequence[Probe], scale: QualityScale, target: float, *, abandoned: bool = False
) -> Outcome:
    passing = [probe for probe in probes if probe.score >= target - BELOW]
    if passing:
        best = min(passing, key=lambda probe: len(probe.data))
    else:
        best = max(probes, key=lambda probe: probe.score)
    topped = any(probe.quality >= scale.qualities[-1] for probe in probes)
    return Outcome(best, bool(passing), len(probes), topped, abandoned)


def _next(
    probes: Sequence[Probe], scale: QualityScale, target: float, *, last: bool
) -> float | None:
    """The next quality to try, strictly between the best failing and passing ones; None to stop."""
    low = max((p for p in probes if p.score < target), key=lambda p: p.quality, default=None)
    high = min((p for p in probes if p.score >= target), key=lambda p: p.quality, default=None)
    if low is not None and high is not None and low.quality >= high.quality:
        return None  # not monotonic here: what passes is as good as it gets
    if low is None and len(probes) > 1 and _saving(probes) < _LEAST_SAVING:
        return None
    between = [
        quality
        for quality in scale.qualities
        if (low is None or quality > low.quality) and (high is None or quality < high.quality)
    ]
    if not between:
        return None
    aim = target + _CAUTIOUS_AIM if last and high is None else _aim(scale, target)
    return _nearest(between, _quality(scale, _wanted_typical(probes, scale, aim)))


def _capped(probes: Sequence[Probe], scale: QualityScale, target: float) -> bool:
    """Of two probes, both too low, the better quality scored hardly better."""
    if len(probes) < 2 or any(probe.score >= target for probe in probes):
        return False
    one, other = sorted(probes, key=lambda probe: probe.quality)[-2:]
    hoped = _typical(scale, one.quality) - _typical(scale, other.quality)
    gained = _log_distortion(one.score) - _log_distortion(other.score)
    return hoped > _TELLING_GAIN and gained < _CAPPED_GAIN * hoped


def _aim(scale: QualityScale, target: float) -> float:
    """The middle of what ends a search."""
    return target + (scale.near - BELOW) / 2


def _saving(probes: Sequence[Probe]) -> float:
    """Share of the bytes that the last step down saved; little left means mere headers are left."""
    return 1 - len(probes[-1].data) / len(probes[-2].data)


def _wanted_typical(probes: Sequence[Probe], scale: QualityScale, aim: float) -> float:
    """Log of the typical distortion at which this image should score ``aim``."""
    goal = _log_distortion(aim)
    points = sorted(
        ((_typical(scale, p.quality), _log_distortion(p.score)) for p in probes),
        key=lambda point: abs(point[1] - goal),
    )
    (x, y), slope = points[0], 1.0
    if len(points) > 1 and points[1][0] != x:
        slope = min(2.5, max(0.4, (points[1][1] - y) / (points[1][0] - x)))
    return x + (goal - y) / slope


def _log_distortion(score: float) -> float:
    return math.log(max(_LEAST_DISTORTION, 100.0 - score))


def _typical(scale: QualityScale, quality: float) -> float:
    qualities, distortions = zip(*scale.typical, strict=True)
    return float(np.interp(quality, qualities, np.log(distortions)))


def _quality(scale: QualityScale, log_distortion: float) -> float:
    qualities, distortions = zip(*scale.typical, strict=True)
    return float(np.interp(-log_distortion, -np.log(distortions), qualities))


def _nearest(qualities: Sequence[float], quality: float) -> float:
    return min(qualities, key=lambda one: abs(one - quality))
