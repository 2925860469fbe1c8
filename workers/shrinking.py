"""What shrink-on-load gives: decoding a JPEG at a half, a quarter or an eighth."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from .errors import WorkError
from .imaging.decode import decode
from .imaging.geometry import Size
from .imaging.header import read_header
from .imaging.resize import resize
from .imaging.ssimulacra2 import Reference
from .intake import limits_of
from .pipeline import lay_out
from .storage.guard import open_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pixfleet.config.contract import Recipe
    from pixfleet.config.settings import Settings
    from pixfleet.producer.sources import Source


@dataclass(frozen=True, slots=True)
class Shrinking:
    """On the images where it happens.

    Attributes:
        looked_at: images, the others among them: no JPEG, or too small for it.
        shrunk: images that were decoded smaller.
        cpu_s: of decoding and scaling one to the recipe's largest size, median.
        full_cpu_s: the same, decoded at full size.
        scores: SSIMULACRA2 of the one result against the other, lowest and median; None: none
            was shrunk.
    """

    looked_at: int
    shrunk: int
    cpu_s: float
    full_cpu_s: float
    scores: tuple[float, float] | None


def shrinking(
    sources: Sequence[Source], recipe: Recipe, settings: Settings, until_s: float
) -> Shrinking | None:
    """Decode each image twice, as a job does and in full; None: there was no time for any.

    ``until_s`` is on the monotonic clock. Images that cannot be read are passed over.
    """
    pairs: list[tuple[float, float, float]] = []
    looked_at = 0
    for source in {one.url: one for one in sources}.values():
        if time.monotonic() > until_s:
            break
        try:
            pair = _compared(source, recipe, settings)
        except WorkError:
            continue
        looked_at += 1
        if pair:
            pairs.append(pair)
    if not looked_at:
        return None
    if not pairs:
        return Shrinking(looked_at, 0, 0.0, 0.0, None)
    shrunk_s, full_s, scores = zip(*pairs, strict=True)
    return Shrinking(
        looked_at, len(pairs), median(shrunk_s), median(full_s), (min(scores), median(scores))
    )


def _compared(
    source: Source, recipe: Recipe, settings: Settings
) -> tuple[float, float, float] | None:
    data = open_source(
        source.url,
        root=source.root,
        max_bytes=settings.limits.max_file_bytes,
        rules=settings.sources,
    )
    header = read_header(data, limits_of(settings.limits))
    size = Size(header.width, header.height)
    cuts, _ = lay_out(recipe, size)
    if header.format != "jpeg" or not cuts:
        return None
    placement = max((cut.placement for cut in cuts), key=lambda placement: placement.scale)
    scale = min(placement.scale, 1.0)
    needed = Size(round(size.width * scale), round(size.height * scale))

    def made(wanted: Size | None) -> tuple[NDArray[np.uint8], float, float]:
        began_s = time.process_time()
        raster = decode(data, header, needed=wanted)
        pixels = resize(raster.pixels, placement, scale=raster.scale)
        return pixels, time.process_time() - began_s, raster.scale

    pixels, shrunk_s, shrunk_to = made(needed)
    if shrunk_to == 1.0:
        return None
    full, full_s, _ = made(None)
    return shrunk_s, full_s, Reference(full).score(pixels)
