"""The encoders that most programs use: one format, one quality for every picture.

They are what pixfleet is compared with, moved along their quality until bytes or score are the
same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import PIL
from PIL import features

from .codec import Metadata, save
from .codecs import check_sides, codec_versions, decode_own, missing_encoder
from .jpeg import pillow_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from .region_score import RegionScorer, RegionScores

    Pixels = NDArray[np.uint8]

_LOWEST: Final = 1
_FIRST_STEP: Final = 8
_STRAIGHT: Final = 4
"""Steps along the straight line before a stubborn curve is halved."""


@dataclass(frozen=True, slots=True)
class Habit:
    """An encoder at the settings people leave it at.

    Attributes:
        format: as in requests.
        encoder: library, version and settings, without the quality.
        quality: the number that is used for every picture.
        why: where that number comes from.
        highest: the highest number that it takes; the lowest is 1.
    """

    format: str
    encoder: str
    quality: int
    why: str
    highest: int = 100

    def encode(self, pixels: Pixels, quality: int) -> bytes:
        """The file, sRGB and without metadata; ``pixels`` as in ``Original``, flat for JPEG.

        Raises:
            EncodeError: ``encoder_failed``, ``format_side_limit``.
        """
        check_sides(self.format, pixels.shape[1], pixels.shape[0])
        if self.format == "jpeg":
            return pillow_jpeg(pixels, quality, "4:2:0", optimised=True)
        name, options = _PILLOW[self.format]
        return save(pixels, name, Metadata(), quality=quality, **options)


# One thread: then its CPU time is all seen, and AVIF is not cut into tiles, which cost bytes.
_PILLOW: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "webp": ("WEBP", {}),
    "avif": ("AVIF", {"max_threads": 1}),
    "jxl": ("JXL", {"num_threads": 1}),
}


def habit_of(format_name: str) -> Habit:
    """The fixed-quality encoder of "jpeg", "webp", "avif" or "jxl".

    Raises:
        EncodeError: ``encoder_missing``, no library here writes the format.
    """
    if format_name not in codec_versions():
        raise missing_encoder(format_name)
    library = f"pillow {PIL.__version__}"
    if format_name == "jpeg":
        named = f"{library} JPEG 4:2:0, optimised, progressive"
        return Habit("jpeg", named, 80, "what most sites are set to")
    if format_name == "webp":
        named = f"{library} libwebp {features.version('webp')} at its defaults"
        return Habit("webp", named, 80, "Pillow's default")
    if format_name == "avif":
        named = f"{library} libavif {features.version('avif')} at its defaults (speed 6, 4:2:0)"
        return Habit("avif", named, 75, "Pillow's default")
    named = f"pillow-jxl-plugin {version('pillow-jxl-plugin')} at its defaults (effort 7)"
    # 100 would be another mode, without loss, and the plugin fails on it.
    return Habit("jxl", named, 90, "the plugin's default", highest=99)


@dataclass(frozen=True, slots=True)
class Fixed:
    """One picture at one quality of a habit.

    Attributes:
        quality: the encoder's number.
        data: the whole file.
        scores: of all its decoded pixels.
        cpu_s: of this one encoding.
    """

    quality: int
    data: bytes
    scores: RegionScores
    cpu_s: float


class FixedQuality:
    """One picture along the qualities of one habit; nothing is encoded or scored twice.

    Args:
        habit: the encoder.
        pixels: (H, W, 3) sRGB uint8, or (H, W, 4) where the format keeps alpha.
        scorer: against the same pixels.
    """

    def __init__(self, habit: Habit, pixels: Pixels, scorer: RegionScorer) -> None:
        self.habit = habit
        self._pixels = pixels
        self._scorer = scorer
        self._files: dict[int, tuple[bytes, float]] = {}
        self._scores: dict[int, RegionScores] = {}

    def at(self, quality: int) -> Fixed:
        """The picture at one quality, its worst tile included.

        Raises:
            EncodeError: as ``Habit.encode``.
        """
        data, cpu_s = self._file(quality)
        scores = self._scorer.score(decode_own(self.habit.format, data), tiles=True)
        return Fixed(quality, data, scores, cpu_s)

    def nearest_bytes(self, size: int) -> Fixed:
        """At the quality whose file is nearest to ``size`` bytes.

        Raises:
            EncodeError: as ``Habit.encode``.
        """
        known = {quality: float(len(data)) for quality, (data, _) in self._files.items()}
        return self.at(
            nearest(lambda one: len(self._file(one)[0]), size, self.habit.highest, known)
        )

    def nearest_score(self, score: float, reading: Callable[[RegionScores], float]) -> Fixed:
        """At the quality whose score is nearest to ``score``; ``reading`` says which score.

        Raises:
            EncodeError: as ``Habit.encode``.
        """
        known = {quality: reading(scores) for quality, scores in self._scores.items()}
        return self.at(
            nearest(lambda one: reading(self._scored(one)), score, self.habit.highest, known)
        )

    def _file(self, quality: int) -> tuple[bytes, float]:
        if quality not in self._files:
            start_s = time.thread_time()
            data = self.habit.encode(self._pixels, quality)
            self._files[quality] = data, time.thread_time() - start_s
        return self._files[quality]

    def _scored(self, quality: int) -> RegionScores:
        if quality not in self._scores:
            pixels = decode_own(self.habit.format, self._file(quality)[0])
            self._scores[quality] = self._scorer.score(pixels)
        return self._scores[quality]


def nearest(
    value_at: Callable[[int], float], wanted: float, highest: int, known: Mapping[int, float]
) -> int:
    """The quality from 1 to ``highest`` whose value is nearest to ``wanted``; of two the higher.

    ``value_at`` rises with quality, or nearly so: of a curve with dents the answer is the nearest
    on the way to where it crosses ``wanted``. ``known`` are values found before.
    """
    values = dict(known)

    def value(quality: int) -> float:
        if quality not in values:
            values[quality] = value_at(quality)
        return values[quality]

    low = max((q for q, v in values.items() if v < wanted), default=None)
    high = min((q for q, v in values.items() if v >= wanted), default=None)
    if low is not None and high is not None and high < low:
        low = None
    low, high = _between(value, wanted, low, high, highest)
    steps = 0
    while high - low > 1:
        steps += 1
        middle = (low + high) // 2
        if steps <= _STRAIGHT and value(high) > value(low):
            share = (wanted - value(low)) / (value(high) - value(low))
            middle = min(high - 1, max(low + 1, round(low + share * (high - low))))
        if value(middle) < wanted:
            low = middle
        else:
            high = middle
    value(low)
    value(high)
    return min(values, key=lambda one: (abs(values[one] - wanted), -one))


def _between(
    value: Callable[[int], float], wanted: float, low: int | None, high: int | None, highest: int
) -> tuple[int, int]:
    """Widened by doubled steps until the wanted value lies between both, or the scale ends."""
    step = _FIRST_STEP
    if low is None and high is None:
        middle = (_LOWEST + highest) // 2
        low, high = (middle, None) if value(middle) < wanted else (None, middle)
    while low is None:
        assert high is not None  # noqa: S101 (one of both is known from here on)
        below = max(_LOWEST, high - step)
        if value(below) < wanted or below == _LOWEST:
            low = below
        else:
            high, step = below, 2 * step
    while high is None:
        above = min(highest, low + step)
        if value(above) >= wanted or above == highest:
            high = above
        else:
            low, step = above, 2 * step
    return low, high
