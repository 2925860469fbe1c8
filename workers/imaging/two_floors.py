"""One format's best bytes under two floors: coded uniformly, or with a poorer background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from .bands import LARGE_PX
from .candidate import Candidate, attempt
from .codecs import ALPHA_FORMATS, decode_own, lossy_codecs
from .floors import FloorsOutcome
from .joint_search import ENOUGH, JointSearch, Treated
from .search import BELOW
from .treatment import treatment_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .candidate import Trial
    from .codec import Codec
    from .floors import FloorOriginal, FloorReference
    from .region_score import RegionScores
    from .treatment import Treatment

_LEAST_SHARE, _MOST_SHARE = 0.01, 0.97
_MAY_SAVE: Final = 1.4
_HOPELESS: Final = 1.1
_LEAST_SIDE_PX: Final = 64
_NO_JPEGLIB: Final = "coded uniformly: jpeglib is not installed, so no background is requantised"


def attempt_floors(
    original: FloorOriginal, name: str, trial: Trial
) -> tuple[Candidate, FloorsOutcome]:
    """The smallest bytes of one format that keep both floors.

    Uniform coding is searched first, in at most ``trial.max_probes`` encodings. Where it keeps the
    floors with a background better than it need be, a treated background is searched for: quality
    and strength together, in at most ``trial.max_probes`` encodings more. The result is taken only
    where it is smaller. ``trial.target`` is the salient floor.

    Raises:
        EncodeError: as ``candidate.attempt``.
        Abandoned: only with ``trial.bytes_to_beat``.
    """
    # What uniform coding misses by less than a treatment may save is not given up.
    to_beat = trial.bytes_to_beat and round(trial.bytes_to_beat * _MAY_SAVE)
    uniform = attempt(original, name, replace(trial, bytes_to_beat=to_beat))
    reference = _reference(original, name)
    scores = reference.scorer.score(decode_own(uniform.format, uniform.data), tiles=True)
    best, used, strength = uniform, "uniform", 0.0
    codec = _codec_of(uniform, trial)
    if codec is not None and uniform.reached and _worth_treating(original, scores):
        flat = original.flat if reference is not original.reference else original.pixels
        treatment = treatment_of(codec, flat, original.depth, trial.metadata)
        if treatment is None:
            best = replace(uniform, notes=(*uniform.notes, _NO_JPEGLIB))
        else:
            tried, probes = _treated(treatment, _Uniform(codec, uniform, scores), original, trial)
            best = replace(uniform, probes=uniform.probes + probes)
            if tried is not None and len(tried.data) < len(uniform.data):
                best = replace(best, data=tried.data, quality=tried.quality)
                used, strength = treatment.name, tried.strength
                # Of the final bytes, which are what the promise is about.
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


@dataclass(frozen=True, slots=True)
class _Uniform:
    """Uniform coding that keeps both floors."""

    codec: Codec
    candidate: Candidate
    scores: RegionScores


def _treated(
    treatment: Treatment, uniform: _Uniform, original: FloorOriginal, trial: Trial
) -> tuple[Treated | None, int]:
    """The fewest bytes with a treated background within both floors; encodings that it took."""
    floors = original.floors
    codec, scores = uniform.codec, uniform.scores
    scorer = _reference(original, codec.format).scorer
    quality = uniform.candidate.quality
    assert quality is not None  # noqa: S101 (a lossy codec has a quality)
    assert scores.background is not None  # noqa: S101 (the caller saw to it)
    outlook = treatment.outlook(floors.salient, scores.background - floors.background)
    search = JointSearch(codec.scale, floors, quality, scores, outlook)
    best: Treated | None = None
    for probe in range(trial.max_probes):
        aim = search.next(last=probe == trial.max_probes - 1)
        if aim is None:
            return best, probe
        data = treatment.encode(*aim)
        tried = Treated(*aim, data, scorer.score(codec.decode(data)))
        search.add(tried)
        if floors.kept(tried.scores):
            # Finished, since what a JPEG takes before that says little.
            tried = replace(tried, data=codec.finish(data, trial.metadata))
            best = min((one for one in (best, tried) if one), key=lambda one: len(one.data))
        elif codec.format != "jpeg" and len(data) > _HOPELESS * len(uniform.candidate.data):
            return best, probe + 1
    return best, trial.max_probes


def _worth_treating(original: FloorOriginal, scores: RegionScores) -> bool:
    if scores.background is None or scores.salient is None:
        return False
    if original.width * original.height > LARGE_PX:
        return False  # it would take another 30 bytes a pixel
    surplus = scores.background - original.floors.background + BELOW
    share = float(original.region.mean())
    sides = min(original.width, original.height)
    large = sides >= _LEAST_SIDE_PX
    return large and _LEAST_SHARE < share < _MOST_SHARE and surplus > 2 * ENOUGH


def _codec_of(candidate: Candidate, trial: Trial) -> Codec | None:
    """The lossy encoder that made a candidate."""
    if candidate.format == "png" or candidate.metric != "ssimulacra2":
        return None
    codecs = lossy_codecs(candidate.format, trial.effort, trial.target)
    return next((codec for codec in codecs if codec.encoder == candidate.encoder), None)


def _reference(original: FloorOriginal, name: str) -> FloorReference:
    return original.reference if name in ALPHA_FORMATS else original.flat_reference
