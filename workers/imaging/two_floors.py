"""One format's best bytes under two floors: coded uniformly, or with a poorer background."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from .bands import LARGE_PX
from .candidate import Candidate, attempt
from .codecs import ALPHA_FORMATS, decode_own, lossy_codecs
from .floors import FloorsOutcome
from .search import BELOW
from .treatment import treatment_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .candidate import Trial
    from .codec import Codec, Metadata, QualityScale
    from .floors import FloorOriginal, FloorReference
    from .region_score import RegionScores
    from .treatment import Treatment

_PROBES: Final = 6
_ENOUGH: Final = 0.6
"""A background this little over what its floor allows ends the search."""
_AIM: Final = 0.25
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.97
_MAY_SAVE: Final = 1.3
_HOPELESS: Final = 1.1
_LEAST_SIDE_PX: Final = 64
_NO_JPEGLIB: Final = "coded uniformly: jpeglib is not installed, so no background is requantised"


@dataclass(frozen=True, slots=True)
class _Tried:
    """One treated encoding; finished if it keeps the floors."""

    quality: float
    strength: float
    data: bytes
    scores: RegionScores


def attempt_floors(
    original: FloorOriginal, name: str, trial: Trial
) -> tuple[Candidate, FloorsOutcome]:
    """The smallest bytes of one format that keep both floors.

    Uniform coding is searched first. Where it keeps the floors with a background better than it
    need be, the background is treated at the same quality, stronger until it is just good enough;
    the result is taken only where it is smaller. ``trial.target`` is the salient floor.

    Raises:
        EncodeError: as ``candidate.attempt``.
        Abandoned: only with ``trial.bytes_to_beat``.
    """
    # What uniform coding misses by less than a treatment may save is not given up.
    to_beat = trial.bytes_to_beat and round(trial.bytes_to_beat * _MAY_SAVE)
    uniform = attempt(original, name, replace(trial, bytes_to_beat=to_beat))
    reference = _reference(original, name)
    best, used, strength = uniform, "uniform", 0.0
    codec = _codec_of(uniform, trial)
    if codec is not None and uniform.reached and _worth_treating(original):
        flat = original.flat if reference is not original.reference else original.pixels
        treatment = treatment_of(codec, flat, original.depth, trial.metadata)
        if treatment is None:
            best = replace(uniform, notes=(*uniform.notes, _NO_JPEGLIB))
        else:
            tried, probes = _strongest(treatment, codec, original, uniform, trial.metadata)
            best = replace(uniform, probes=uniform.probes + probes)
            if tried is not None and len(tried.data) < len(uniform.data):
                best = replace(best, data=tried.data, quality=tried.quality)
                used, strength = treatment.name, tried.strength
    scores = reference.scorer.score(decode_own(best.format, best.data), tiles=True)
    if used != "uniform" and not original.floors.kept(scores):
        best, used, strength = uniform, "uniform", 0.0
        scores = reference.scorer.score(decode_own(best.format, best.data), tiles=True)
    outcome = _outcome(original, scores, len(uniform.data), used, strength)
    if best.metric == "lossless":
        return best, outcome
    kept = original.floors.kept(scores)
    return replace(best, score=original.floors.bound(scores), reached=kept), outcome


def uniform_outcome(
    original: FloorOriginal, name: str, decoded: NDArray[np.uint8], size: int
) -> tuple[FloorsOutcome, float]:
    """Both regions of a uniformly coded file of a format, and their common bound."""
    reference = _reference(original, name)
    scores = reference.scorer.score(decoded, tiles=True)
    return _outcome(original, scores, size), original.floors.bound(scores)


def _outcome(
    original: FloorOriginal,
    scores: RegionScores,
    uniform_bytes: int,
    treatment: str = "uniform",
    strength: float = 0.0,
) -> FloorsOutcome:
    return FloorsOutcome(
        salient_target=original.floors.salient,
        background_target=original.floors.background,
        salient_score=scores.salient,
        background_score=scores.background,
        salient_share=float(original.region.mean()),
        worst_tile_score=scores.worst_tile,
        treatment=treatment,
        strength=strength,
        uniform_bytes=uniform_bytes,
    )


def _strongest(
    treatment: Treatment,
    codec: Codec,
    original: FloorOriginal,
    uniform: Candidate,
    metadata: Metadata,
) -> tuple[_Tried | None, int]:
    """The strongest treatment within both floors, and the encodings that it took to find it."""
    floors = original.floors
    scorer = _reference(original, uniform.format).scorer
    quality = uniform.quality
    assert quality is not None  # noqa: S101 (a lossy codec has a quality)
    allowed = floors.background - BELOW
    start = scorer.score(decode_own(uniform.format, uniform.data)).background
    if start is None or start < allowed + 2 * _ENOUGH:
        return None, 0
    curve = _Curve(start)
    best: _Tried | None = None
    strength = treatment.first
    for probe in range(1, _PROBES + 1):
        data = treatment.encode(quality, strength)
        scores = scorer.score(codec.decode(data))
        tried = _Tried(quality, strength, data, scores)
        background = scores.background or start
        curve.add(strength, background)
        if floors.kept(scores):
            # Finished, since what a JPEG takes before that says little.
            tried = replace(tried, data=codec.finish(data, metadata))
            best = min((one for one in (best, tried) if one), key=lambda one: len(one.data))
            if background <= allowed + _ENOUGH:
                return best, probe
        if background >= allowed and not floors.kept(scores):
            # What the background lost is felt in the region: it needs a little more itself.
            short = floors.salient - BELOW - (scores.salient or 100.0)
            higher = _raised(codec.scale, quality, floors.salient, short)
            if higher is None or (
                # A JPEG is yet to be finished, and may shrink more than this.
                codec.format != "jpeg" and len(data) > _HOPELESS * len(uniform.data)
            ):
                return best, probe
            quality, curve = higher, _Curve(start)
            continue
        wanted = curve.strength(allowed + _AIM)
        if wanted is None or (wanted >= treatment.strongest <= strength):
            return best, probe
        strength = min(treatment.strongest, wanted)
    return best, _PROBES


def _raised(scale: QualityScale, quality: float, target: float, short: float) -> float | None:
    """The least quality above that should make up for a score ``short`` of ``target``."""
    qualities, distortions = zip(*scale.typical, strict=True)
    wanted = np.log((100.0 - target) / (100.0 - target + short))
    now = np.log(np.interp(quality, qualities, distortions))
    for higher in scale.qualities:
        if higher > quality and np.log(np.interp(higher, qualities, distortions)) <= now + wanted:
            return higher
    return None


class _Curve:
    """The background's score as a falling function of strength, from what was tried."""

    def __init__(self, untreated: float) -> None:
        self._points = [(0.0, untreated)]

    def add(self, strength: float, score: float) -> None:
        """One more point."""
        self._points.append((strength, score))

    def strength(self, score: float) -> float | None:
        """Where the score should be ``score``; None where the points leave no room for an answer.

        By the straight line through the nearest points on either side, or else through the two
        with the lowest scores; never more than twice the strongest yet.
        """
        above = max((p for p in self._points if p[1] >= score), default=None)
        below = min((p for p in self._points if p[1] < score), default=None)
        if above is None:
            return None
        if below is not None:
            if below[0] - above[0] < 0.02 * below[0]:
                return None
            share = (above[1] - score) / (above[1] - below[1])
            return above[0] + min(0.85, max(0.15, share)) * (below[0] - above[0])
        (near, low), (far, high) = sorted(self._points, key=lambda point: point[1])[:2]
        fall = (high - low) / (near - far) if near != far else 0.0
        reach = (low - score) / fall if fall > 0 else math.inf
        return min(2 * max(near, far), near + reach)


def _worth_treating(original: FloorOriginal) -> bool:
    share = float(original.region.mean())
    sides = min(original.width, original.height)
    if original.width * original.height > LARGE_PX:
        return False  # it would take another 30 bytes a pixel
    return _LEAST_SHARE < share < _MOST_SHARE and sides >= _LEAST_SIDE_PX


def _codec_of(candidate: Candidate, trial: Trial) -> Codec | None:
    """The lossy encoder that made a candidate."""
    if candidate.format == "png" or candidate.metric != "ssimulacra2":
        return None
    codecs = lossy_codecs(candidate.format, trial.effort, trial.target)
    return next((codec for codec in codecs if codec.encoder == candidate.encoder), None)


def _reference(original: FloorOriginal, name: str) -> FloorReference:
    return original.reference if name in ALPHA_FORMATS else original.flat_reference
