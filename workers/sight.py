"""What is seen in an image: its features, remembered by content."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from pixfleet.config.contract import ColorShare, Face, Features

from .imaging.faces import detector_name
from .imaging.features import extract
from .memo.memo import Memo, MemoValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from .imaging.decode import Raster
    from .intake import Intake
    from .runtime import Runtime
    from .spend.meter import Meter

FEATURES_PX: Final = 640
"""Longest side that features are seen at."""


def see(
    runtime: Runtime, intake: Intake, raster: Raster | Callable[[], Raster], meter: Meter
) -> Features:
    """The features that the recipe asks for; ``raster`` is only decoded where they are unknown."""
    recipe, header = intake.recipe, intake.header
    size = {
        "width": header.width,
        "height": header.height,
        "frames": header.frames,
        "has_alpha": header.has_alpha,
    }
    if not recipe.features:
        return Features.model_validate(size)

    def compute() -> MemoValue:
        start_s = time.process_time()
        pixels = (raster() if callable(raster) else raster).pixels
        with meter.stage("features"):
            seen = extract(pixels, recipe.features)
        cpu_s = time.process_time() - start_s
        return MemoValue(meta=seen, blobs=[], cost_usd=meter.cpu_cost(cpu_s), cpu_s=cpu_s)

    if not runtime.settings.memo.enabled:
        return _features(size, compute().meta)
    key = Memo.key("features", intake.sha256, sorted(recipe.features), detector_name())
    entry, hit = runtime.memo.once(key, compute)
    if hit:
        meter.saved(entry.cost_usd, entry.cpu_s)
    return _features(size, entry.meta)
