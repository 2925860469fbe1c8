"""What is seen in an image: its features, remembered by content."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pixfleet.config.results import Features

from .imaging.faces import FacesUnavailableError, detector_name
from .imaging.features import extract
from .memo.memo import Memo, MemoValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from .imaging.decode import Raster
    from .intake import Intake
    from .runtime import Runtime
    from .spend.meter import Meter
    from .steps import Steps


def see(
    runtime: Runtime,
    intake: Intake,
    raster: Raster | Callable[[], Raster],
    meter: Meter,
    steps: Steps,
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
        with steps.features():
            seen, notes = extract(pixels, recipe.features)
        cpu_s = time.process_time() - start_s
        meta = {**_plain(seen, header.width, header.height), "notes": notes}
        return MemoValue(meta=meta, blobs=[], cost_usd=meter.cpu_cost(cpu_s), cpu_s=cpu_s)

    if not runtime.settings.memo.enabled:
        return Features.model_validate({**size, **compute().meta})
    key = Memo.key("features", intake.sha256, sorted(recipe.features), detector())
    entry, hit = runtime.memo.once(key, compute)
    if hit:
        meter.saved(entry.cost_usd, entry.cpu_s)
    return Features.model_validate({**size, **entry.meta})


def detector() -> str:
    """The face detector in use, as part of memo keys: with another one there are other faces."""
    try:
        return detector_name()
    except FacesUnavailableError:
        return "none"


def _plain(seen: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    """As the contract has it, in JSON: faces in px of the oriented source."""
    plain = dict(seen)
    if seen.get("faces") is not None:
        plain["faces"] = [
            {
                "x": round(face.x * width),
                "y": round(face.y * height),
                "width": round(face.width * width),
                "height": round(face.height * height),
                "score": round(face.score, 3),
            }
            for face in seen["faces"]
        ]
    if seen.get("colors") is not None:
        plain["colors"] = [{"hex": key, "share": share} for key, share in seen["colors"]]
    return plain
