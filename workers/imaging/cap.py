"""The best picture that a file of so many bytes can hold, where the promise takes more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pixfleet.workers.errors import EncodeError

from . import png
from .codecs import lossy_codecs
from .search import BELOW

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from .candidate import Candidate, Trial
    from .original import Original

    Pixels = NDArray[np.uint8]

_MOST_ENCODES: Final = 7
_PALETTES: Final = (256, 128, 64, 32, 16, 8, 4, 2)


@dataclass(frozen=True, slots=True)
class _Fitting:
    """What fits, and the encodings that it took to find it."""

    data: bytes
    quality: float
    decoded: Pixels
    encoder: str
    encodes: int


def capped(
    original: Original, promised: Candidate, trial: Trial, max_bytes: int
) -> tuple[Candidate, Pixels]:
    """The candidate's format at the highest quality within ``max_bytes``, and what it decodes to.

    What that costs in score stands in its notes. It still counts as ``reached`` where a quality
    below the one that the search ended at keeps the promise too.

    Raises:
        EncodeError: ``max_bytes_unreachable``: even the lowest quality takes more.
    """
    name = promised.format
    fit = _palette if name == "png" else _lossy
    fitting = fit(original.pixels_for(name), name, trial, max_bytes)
    score = original.reference_for(name).score(fitting.decoded)
    note = (
        f"max_bytes = {max_bytes} costs {max(0.0, promised.score - score):.1f} points: "
        f"{promised.score:.1f} takes {len(promised.data)} bytes"
    )
    candidate = replace(
        promised,
        data=fitting.data,
        quality=fitting.quality,
        metric="ssimulacra2",
        score=score,
        reached=score >= trial.target - BELOW,
        probes=promised.probes + fitting.encodes,
        encoder=fitting.encoder,
        notes=(*promised.notes, note),
    )
    return candidate, fitting.decoded


def highest_fitting(
    name: str, qualities: Sequence[float], encode: Callable[[float], bytes], max_bytes: int
) -> tuple[bytes, float, int]:
    """The file of the highest quality within ``max_bytes``, that quality, the encodings it took.

    Raises:
        EncodeError: ``max_bytes_unreachable``.
    """
    # The lowest quality first: where that is too large, nothing else has to be tried.
    best, quality = encode(qualities[0]), qualities[0]
    if len(best) > max_bytes:
        raise unreachable(name, len(best), max_bytes)
    fits, exceeds, encodes = 0, len(qualities), 1
    while exceeds - fits > 1 and encodes < _MOST_ENCODES:
        middle = (fits + exceeds) // 2
        data = encode(qualities[middle])
        encodes += 1
        if len(data) > max_bytes:
            exceeds = middle
        else:
            fits, best, quality = middle, data, qualities[middle]
    return best, quality, encodes


def _lossy(pixels: Pixels, name: str, trial: Trial, max_bytes: int) -> _Fitting:
    codec, *_ = lossy_codecs(name, trial.effort, trial.target)

    def finished(quality: float) -> bytes:
        return codec.finish(codec.encode(pixels, quality, trial.metadata), trial.metadata)

    data, quality, encodes = highest_fitting(name, codec.scale.qualities, finished, max_bytes)
    return _Fitting(data, quality, codec.decode(data), codec.encoder, encodes)


def _palette(pixels: Pixels, name: str, trial: Trial, max_bytes: int) -> _Fitting:
    quantiser = png.palette_encoder()
    least = 0
    for encodes, colours in enumerate(_PALETTES if quantiser else (), start=1):
        quantised = png.paletted(pixels, colours)
        data = quantised.png(trial.metadata)
        if len(data) <= max_bytes:
            return _Fitting(data, colours, quantised.pixels, quantiser or "", encodes)
        least = len(data)
    if not quantiser:
        least = len(png.lossless_png(pixels, trial.metadata))
    raise unreachable(name, least, max_bytes)


def unreachable(name: str, least_bytes: int, max_bytes: int) -> EncodeError:
    """No file of this format is small enough."""
    return EncodeError(
        "max_bytes_unreachable",
        f"{name} takes {least_bytes} bytes even at its lowest quality; max_bytes is {max_bytes}",
        "Raise max_bytes, or ask for a smaller size or another format.",
    )
