"""All images that a user names, and what can be told of each without decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from pixfleet.producer.sources import find_sources

from .errors import PermanentError
from .imaging.geometry import Size
from .imaging.header import stored_extent
from .imaging.sniff import sniff
from .pipeline import lay_out

if TYPE_CHECKING:
    from pixfleet.config.contract import Recipe
    from pixfleet.config.worker_settings import LimitSettings
    from pixfleet.producer.sources import Source

_HEAD_BYTES: Final = 262_144
"""Of a file, to find its size in: behind large profiles and thumbnails too."""
_MOST_HEADS: Final = 20_000
"""Local files whose heads are read: some seconds. Beyond, their bytes have to do."""
_DECODE_CPU_S_PER_MP: Final = 0.03
"""Roughly what fetching, decoding and looking takes, by a source's pixels."""


@dataclass(frozen=True, slots=True)
class Population:
    """Images with their sizes.

    Attributes:
        sources: in the order of a run.
        sizes: bytes of each; None where no listing told them all.
        auxiliaries: figures that predict what an image takes, by name, each known of every image.
    """

    sources: tuple[Source, ...]
    sizes: tuple[int, ...] | None
    auxiliaries: dict[str, list[float]]


def survey(named: str, out: str, recipe: Recipe, limits: LimitSettings) -> Population:
    """Find the images and what is known of them.

    Raises:
        SourceNotFoundError: nothing to do.
    """
    sources = tuple(find_sources(named, without=out))
    found = [_size(source) for source in sources]
    sizes = [size for size in found if size is not None]
    if len(sizes) < len(sources):
        return Population(sources, None, {"images": [1.0] * len(sources)})
    auxiliaries = {"images": [1.0] * len(sources), "bytes": [float(max(s, 1)) for s in sizes]}
    local = all("://" not in source.url for source in sources)
    if local and len(sources) <= _MOST_HEADS:
        work = [_work(Path(source.url), recipe, limits) for source in sources]
        if any(work):
            auxiliaries["expected work"] = _completed(work, sizes)
    return Population(sources, tuple(sizes), auxiliaries)


def _size(source: Source) -> int | None:
    if source.listed_bytes is not None or "://" in source.url:
        return source.listed_bytes
    try:
        return Path(source.url).stat().st_size
    except OSError:  # a broken link: its job will say so
        return 0


def _work(path: Path, recipe: Recipe, limits: LimitSettings) -> float | None:
    """CPU seconds, roughly, by the image's size and the recipe's cuts; None: size unknown."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(_HEAD_BYTES)
        extent = stored_extent(data, sniff(data), limits.max_frames)
    except (OSError, PermanentError):
        return None
    if extent is None or not 0 < extent.width * extent.height <= limits.max_pixels:
        return None
    cuts, _ = lay_out(recipe, Size(extent.width, extent.height))
    frames = extent.frames if recipe.animation == "keep" else 1
    pixels = extent.width * extent.height
    return frames * (_DECODE_CPU_S_PER_MP * pixels / 1e6 + sum(cut.cpu_s for cut in cuts))


def _completed(work: list[float | None], sizes: list[int]) -> list[float]:
    """Where no size was found, by the work that others take for a byte."""
    pairs = zip(work, sizes, strict=True)
    a_byte = median(known / max(size, 1) for known, size in pairs if known)
    return [known or max(size, 1) * a_byte for known, size in zip(work, sizes, strict=True)]
