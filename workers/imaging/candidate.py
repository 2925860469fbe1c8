"""One format's best bytes for one image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from . import png
from .codecs import check_sides, lossy_codecs
from .search import BELOW, Outcome, Probe, predicted_quality, search, surprise_of
from .webp import lossless_webp

if TYPE_CHECKING:
    from .codec import Codec, Metadata
    from .original import Original

# A file shrinks by about this much for a point of SSIMULACRA2 between 65 and 85 (medians of the
# encoders .048 to .063), and a JPEG to about this share in its lossless finish.
BYTES_PER_POINT: Final = 0.05
_FINISHED_JPEG: Final = 0.9
_NEAR_POINTS: Final = 12.0
_HOPELESS: Final = 1.1

_FEW_PROBES: Final = 3
_CAUTION: Final = 3.0

_MOST_COLOURS: Final = 256
_PALETTE_PROBES: Final = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """What a candidate has to reach and may spend.

    Attributes:
        target: SSIMULACRA2.
        max_probes: encodings a search may try.
        effort: of the encoder, in its own number.
        metadata: embedded in the final bytes.
        bytes_to_beat: give up once clearly more would be needed.
        near: how far above the target a score ends a search; None: the encoder's own.
    """

    target: float
    max_probes: int
    effort: int
    metadata: Metadata
    bytes_to_beat: int | None = None
    near: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A format's best: as in ``encode.Encoded``, which adds the image and the bill."""

    format: str
    data: bytes
    quality: float | None
    metric: str
    score: float
    reached: bool
    probes: int
    encoder: str
    notes: tuple[str, ...] = ()


class Abandoned(Exception):  # noqa: N818 (an ending of a search, not an error)
    """The candidate would have needed about ``expected_bytes``, clearly more than another took."""

    def __init__(self, expected_bytes: int) -> None:
        super().__init__(f"about {expected_bytes} bytes")
        self.expected_bytes = expected_bytes


def attempt(original: Original, name: str, trial: Trial) -> Candidate:
    """The smallest bytes of one format within the promise; the best score where it is out of reach.

    Raises:
        EncodeError: ``format_side_limit``, ``encoder_missing``, ``encoder_failed``,
            ``icc_unsupported``.
        Abandoned: only with ``trial.bytes_to_beat``.
    """
    check_sides(name, original.width, original.height)
    if name == "png":
        return _png(original, trial)
    if name == "webp" and original.graphic:
        return _webp_of_graphics(original, trial)
    lossy = _lossy(original, name, trial)
    if name == "webp" and not lossy.reached:
        return replace(_exact_webp(original, trial), probes=lossy.probes + 1)
    return lossy


def _lossy(original: Original, name: str, trial: Trial) -> Candidate:
    best: Candidate | None = None
    maker: Codec | None = None
    spent = 0
    topped = False
    *others, last = lossy_codecs(name, trial.effort, trial.target)
    lessons = original.lessons
    codecs = [*(one for one in others if lessons.in_reach(one.encoder, trial.target)), last]
    for codec in codecs:
        left = replace(trial, max_probes=trial.max_probes - spent)
        outcome = _searched(original, codec, left, last=codec is last)
        spent += outcome.probes
        topped = outcome.topped
        candidate = Candidate(
            format=name,
            data=outcome.best.data,
            quality=outcome.best.quality,
            metric="ssimulacra2",
            score=outcome.best.score,
            reached=outcome.reached,
            probes=spent,
            encoder=codec.encoder,
        )
        if best is None or candidate.score > best.score:
            best, maker = candidate, codec
        if outcome.reached or not outcome.topped:
            break  # a search that ran out of probes says nothing about its codec's reach
        lessons.miss(codec.encoder, trial.target)
        if spent == trial.max_probes:
            break
    assert best is not None  # noqa: S101 (lossy_codecs is never empty)
    assert maker is not None  # noqa: S101 (set with best)
    notes = ["laid on the background"] if original.flattens(name) else []
    if not best.reached:
        missed = "unreachable" if topped else f"not reached in {spent} probes"
        notes.append(f"target {missed}: best {best.score:.1f}")
    data = maker.finish(best.data, trial.metadata)
    return replace(best, data=data, probes=spent, notes=tuple(notes))


def _searched(original: Original, codec: Codec, trial: Trial, *, last: bool) -> Outcome:
    pixels = original.pixels_for(codec.format)
    reference = original.reference_for(codec.format)

    def probe(quality: float) -> Probe:
        data = codec.encode(pixels, quality, trial.metadata)
        return Probe(quality, data, reference.score(codec.decode(data)))

    def hopeless(latest: Probe) -> bool:
        to_beat = _HOPELESS * (trial.bytes_to_beat or math.inf)
        return _expected_bytes(codec, latest, trial.target) > to_beat

    scale = codec.scale if trial.near is None else replace(codec.scale, near=trial.near)
    # With few probes left there is no room to come from below.
    margin = _CAUTION if trial.max_probes < _FEW_PROBES else 0.0
    outcome = search(
        probe,
        scale,
        trial.target,
        start=predicted_quality(
            scale,
            original.texture,
            trial.target + margin,
            original.lessons.expected(codec.encoder, codec.format),
        ),
        max_probes=trial.max_probes,
        give_up_when_capped=not last,
        hopeless=hopeless,
    )
    if outcome.reached:
        surprise = surprise_of(outcome.best, codec.scale, original.texture)
        original.lessons.learn(codec.encoder, codec.format, surprise)
    if outcome.abandoned:
        raise Abandoned(round(_expected_bytes(codec, outcome.best, trial.target)))
    return outcome


def _expected_bytes(codec: Codec, probe: Probe, target: float) -> float:
    """What the finished file should take at the target, judged from one probe."""
    missing = min(_NEAR_POINTS, max(-_NEAR_POINTS, target - probe.score))
    finished = _FINISHED_JPEG if codec.format == "jpeg" else 1.0
    return len(probe.data) * finished * math.exp(BYTES_PER_POINT * missing)


def _lossless(name: str, data: bytes, encoder: str) -> Candidate:
    return Candidate(name, data, None, "lossless", 100.0, reached=True, probes=1, encoder=encoder)


def _webp_of_graphics(original: Original, trial: Trial) -> Candidate:
    exact = _exact_webp(original, trial)
    to_beat = min(len(exact.data), trial.bytes_to_beat or len(exact.data))
    try:
        lossy = _lossy(original, "webp", replace(trial, bytes_to_beat=to_beat))
    except Abandoned:
        return exact
    if lossy.reached and len(lossy.data) < len(exact.data):
        return replace(lossy, probes=lossy.probes + 1)
    return replace(exact, probes=lossy.probes + 1)


def _exact_webp(original: Original, trial: Trial) -> Candidate:
    encoder = lossy_codecs("webp", trial.effort, trial.target)[0].encoder
    data = lossless_webp(original.pixels, trial.metadata)
    return _lossless("webp", data, f"{encoder} lossless")


def _png(original: Original, trial: Trial) -> Candidate:
    pixels = original.pixels
    quantiser = png.palette_encoder()
    if quantiser is None or png.has_few_colours(pixels):
        return _exact_png(original, trial, probes=1)
    passing: tuple[int, float, png.Paletted] | None = None
    spent = 0
    colours = _MOST_COLOURS
    while spent < min(trial.max_probes, _PALETTE_PROBES):
        quantised = png.paletted(pixels, colours)
        spent += 1
        score = original.reference.score(quantised.pixels)
        if score < trial.target - BELOW:
            break
        passing = (colours, score, quantised)
        colours //= 2
    if passing is None:
        return _exact_png(original, trial, probes=spent + 1)
    colours, score, quantised = passing
    data = quantised.png(trial.metadata)
    best = Candidate(
        "png", data, colours, "ssimulacra2", score, reached=True, probes=spent, encoder=quantiser
    )
    if not original.graphic:
        return best  # a palette quarters what a photograph takes exactly
    exact = _exact_png(original, trial, probes=spent + 1)
    return exact if len(exact.data) <= len(data) else replace(best, probes=spent + 1)


def _exact_png(original: Original, trial: Trial, *, probes: int) -> Candidate:
    data = png.lossless_png(original.pixels, trial.metadata)
    return replace(_lossless("png", data, png.ENCODER), probes=probes)
