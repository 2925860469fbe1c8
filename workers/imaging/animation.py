"""Animations at the promised quality, frame by frame through bounded memory."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from PIL import Image

from pixfleet.workers.errors import EncodeError, EncoderLostError

from . import png
from .attempts import contained
from .candidate import Candidate
from .cap import highest_fitting, unreachable
from .codec import Metadata, load_frame, save
from .codecs import ANIMATED_FORMATS, animated_codec, check_sides
from .encode import Encoded, EncodeRequest, FormatFailure, encode_variant, finished
from .original import Original
from .search import Probe, predicted_quality, search
from .webp import with_alpha_flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

_SAMPLED_FRAMES: Final = 3
_WHOLE_PROBES: Final = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of an animation.

    Attributes:
        pixels: (H, W, 3) sRGB or (H, W, 4) straight-alpha sRGB uint8; all frames alike.
        duration_ms: how long it is shown.
    """

    pixels: Pixels
    duration_ms: int


def alike(frames: Sequence[Frame]) -> list[Frame]:
    """The frames with the same channels: where one has alpha, opaque ones get it as well.

    Decoders drop the alpha of an opaque frame, and encoders take the first frame's word for all.
    """
    if len({frame.pixels.shape[2] for frame in frames}) == 1:
        return list(frames)
    return [
        Frame(
            np.asarray(cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2RGBA), np.uint8), frame.duration_ms
        )
        if frame.pixels.shape[2] == 3
        else frame
        for frame in frames
    ]


class _Reel(Image.Image):
    """Frames as Pillow's encoders want them: one image to seek in, holding one frame at a time."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        super().__init__()
        self._frames = frames
        self.n_frames = len(frames)
        self.is_animated = True
        self.seek(0)

    def seek(self, frame: int) -> None:
        if frame >= self.n_frames:
            raise EOFError(frame)
        image = Image.fromarray(self._frames[frame].pixels)
        self._at = frame
        self.im = image.im
        self._mode = image.mode
        self._size = image.size

    def tell(self) -> int:
        return self._at


def encode_animation(
    frames: Sequence[Frame], loop: int, request: EncodeRequest
) -> list[Encoded | FormatFailure]:
    """Encode an animation as its request says.

    The quality is found on up to three frames (first, middle, last): each is encoded alone, then
    the whole animation is encoded and the same frames of it are decoded and scored. The score
    recorded is the lowest of theirs. APNG is exact.

    Args:
        frames: at least one; read one at a time, so a lazy sequence keeps memory flat.
        loop: how often it plays; 0 for ever.
        request: as for one image. Formats that cannot animate get the first frame, and say so.

    Returns:
        As ``encode.encode_variant``; with "best", formats that can animate come before any
        that cannot.
    """
    if len(frames) == 1:
        return encode_variant(frames[0].pixels, request)
    if request.pick == "each":
        return [_format(frames, loop, name, request) for name in request.formats]
    moving = [name for name in request.formats if name in ANIMATED_FORMATS]
    still = [name for name in request.formats if name not in ANIMATED_FORMATS]
    results: list[Encoded | FormatFailure] = []
    for names in (moving, still):
        results += [_format(frames, loop, name, request) for name in names]
        if any(isinstance(result, Encoded) for result in results):
            return [_smallest(results)]
    return results[-1:]


def _smallest(results: Sequence[Encoded | FormatFailure]) -> Encoded:
    made = [one for one in results if isinstance(one, Encoded)]
    failures = [one for one in results if isinstance(one, FormatFailure)]
    best = min(made, key=lambda one: (not one.reached, len(one.data)))
    tried = [f"{one.format} {len(one.data)} bytes" for one in made]
    tried += [f"{one.format} failed: {one.error.message}" for one in failures]
    return replace(
        best,
        cpu_s=sum(one.cpu_s for one in made),
        notes=(*best.notes, f"tried: {'; '.join(tried)}"),
        passed_over=tuple(one for one in failures if isinstance(one.error, EncoderLostError)),
    )


def _format(
    frames: Sequence[Frame], loop: int, name: str, request: EncodeRequest
) -> Encoded | FormatFailure:
    first = Original(frames[0].pixels, request.background)
    if name not in ANIMATED_FORMATS:
        only = replace(request, formats=(name,), pick="each", source=None)
        result = encode_variant(first.pixels, only)[0]
        if isinstance(result, FormatFailure):
            return result
        return replace(result, notes=(*result.notes, f"first frame of {len(frames)}"))
    start_s = time.thread_time()
    try:
        with contained(name, request.watch):
            check_sides(name, first.width, first.height)
            animate = _apng if name == "png" else _lossy
            candidate = animate(frames, loop, name, request)
    except EncodeError as error:
        return FormatFailure(name, error)
    if request.floors is not None and candidate.metric != "lossless":
        note = "animated: the salient floor holds for all pixels of a frame together"
        candidate = replace(candidate, notes=(*candidate.notes, note))
    encoded = finished(candidate, first, request, time.thread_time() - start_s)
    return replace(encoded, frames=len(frames))


def _apng(frames: Sequence[Frame], loop: int, name: str, request: EncodeRequest) -> Candidate:
    metadata = Metadata(request.icc, request.exif)
    data = _animated(frames, loop, "PNG", metadata, default_image=False)
    if request.max_bytes and len(data) > request.max_bytes:
        raise unreachable(name, len(data), request.max_bytes)
    return Candidate(
        name, data, None, "lossless", 100.0, reached=True, probes=1, encoder=png.ENCODER
    )


def _lossy(frames: Sequence[Frame], loop: int, name: str, request: EncodeRequest) -> Candidate:
    codec = animated_codec(name, request.target)
    metadata = Metadata(request.icc, request.exif)
    sampled = sorted({0, len(frames) // 2, len(frames) - 1})[:_SAMPLED_FRAMES]
    originals = {at: Original(frames[at].pixels, request.background) for at in sampled}
    starts_ms = [0, *accumulate(_durations_ms(frames))]

    def alone(quality: float) -> Probe:
        coded = {at: codec.encode(one.pixels, quality, Metadata()) for at, one in originals.items()}
        score = min(originals[at].reference.score(codec.decode(data)) for at, data in coded.items())
        return Probe(quality, b"".join(coded.values()), score)

    def whole(quality: float) -> Probe:
        data = _animated(frames, loop, name.upper(), metadata, **codec.options(quality))
        if name == "webp" and any(one.alpha for one in originals.values()):
            data = with_alpha_flag(data)
        score = min(
            one.reference.score(load_frame(data, starts_ms[at])) for at, one in originals.items()
        )
        return Probe(quality, data, score)

    start = predicted_quality(codec.scale, originals[0].texture, request.target)
    guess = search(alone, codec.scale, request.target, start=start, max_probes=request.max_probes)
    outcome = search(
        whole, codec.scale, request.target, start=guess.best.quality, max_probes=_WHOLE_PROBES
    )
    best, reached, probes = outcome.best, outcome.reached, guess.probes + outcome.probes
    missed = () if reached else (f"target unreachable: best {best.score:.1f}",)
    if request.max_bytes and len(best.data) > request.max_bytes:
        _, quality, encodes = highest_fitting(
            name, codec.scale.qualities, lambda quality: whole(quality).data, request.max_bytes
        )
        note = f"max_bytes = {request.max_bytes}: {best.score:.1f} takes {len(best.data)} bytes"
        best, reached, missed = whole(quality), False, (note,)
        probes += encodes
    return Candidate(
        format=name,
        data=best.data,
        quality=best.quality,
        metric="ssimulacra2",
        score=best.score,
        reached=reached,
        probes=probes,
        encoder=codec.encoder,
        notes=(f"scored on frames {', '.join(str(at + 1) for at in sampled)}", *missed),
    )


def _animated(
    frames: Sequence[Frame], loop: int, pillow_format: str, metadata: Metadata, **options: Any
) -> bytes:
    return save(
        _Reel(frames),
        pillow_format,
        metadata,
        save_all=True,
        duration=_durations_ms(frames),
        loop=loop,
        **options,
    )


def _durations_ms(frames: Sequence[Frame]) -> list[int]:
    """At least 1 ms each: a frame of no time would be shown by no decoder."""
    return [max(1, frame.duration_ms) for frame in frames]
