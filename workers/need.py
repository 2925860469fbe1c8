"""How much memory a job will take, told from its header and its cuts, before a pixel is decoded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from .errors import OversizeError
from .imaging.decode import MARGIN
from .imaging.decoder_memory import dearest_decoding_bytes, decoding_bytes
from .imaging.encoder_memory import BYTES_PER_PX
from .imaging.features import LONGEST_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pixfleet.config.worker_settings import LimitSettings

    from .intake import Intake
    from .pipeline import Cut

_RASTER_BYTES_PER_PX: Final = 4
_RESIZING_BYTES_PER_PX: Final = 8
"""The raster and its halves."""
_LINEAR_BYTES_PER_PX: Final = 40
"""Resizing in linear light: planes of 32-bit floats of the whole raster, and their copies."""
_ENCODING_BYTES_PER_PX: Final = {**BYTES_PER_PX, "jxl": 52}
"""At any effort that ``max_encoder_bytes`` lets pass in full; peaks at 6 MP."""
_SCORING_BYTES_PER_PX: Final = {False: 10, True: 45}
"""By alpha, which is scored on two grounds."""
_SCORING_MOST_PX: Final = 16_000_000
"""Above, scoring goes by bands."""


def needed_bytes(intake: Intake, cuts: Sequence[Cut], limits: LimitSettings) -> int:
    """Most that the job maps at once, beyond what a process has mapped before its first job.

    Encoders count as far as ``limits.max_encoder_bytes`` allows them.
    """
    header = intake.header
    seen = min(1.0, LONGEST_PX / max(header.width, header.height))
    wanted = MARGIN * max((cut.placement.scale for cut in cuts), default=seen)
    shrinks = wanted <= 1 / 2
    # By whole factors, so to less than twice what is wanted.
    scale = min(1 / 2, 2 * wanted) if shrinks else 1.0
    raster_px = math.ceil(header.width * header.height * scale**2)
    frames = header.frames if intake.animated else 1
    kept = _RASTER_BYTES_PER_PX * frames * sum(_px(cut) for cut in cuts)
    per_px = _LINEAR_BYTES_PER_PX if intake.recipe.linear_light else _RESIZING_BYTES_PER_PX
    decoding = decoding_bytes(header, shrinks=shrinks) + (kept if intake.animated else 0)
    resizing = per_px * raster_px + kept
    encoding = kept + max(
        (_encoding_bytes(cut, limits, alpha=header.has_alpha) for cut in cuts), default=0
    )
    return max(decoding, 2 * header.file_bytes + max(resizing, encoding))


def largest_bytes(limits: LimitSettings) -> int:
    """As ``needed_bytes``, for the dearest job that the limits allow."""
    return max(
        dearest_decoding_bytes(limits.max_pixels, limits.max_file_bytes),
        _RASTER_BYTES_PER_PX * limits.max_pixels
        + limits.max_encoder_bytes
        + _SCORING_BYTES_PER_PX[True] * _SCORING_MOST_PX
        + 2 * limits.max_file_bytes,
    )


def check_need(needed: int, budget: int | None) -> None:
    """Refuse a job before it is decoded, where this process may not map what it takes.

    Raises:
        OversizeError: ``memory_budget_too_small``.
    """
    if budget is not None and needed > budget:
        raise OversizeError(
            "memory_budget_too_small",
            f"the job needs about {needed / 1e9:.2f} GB, and a child of this worker may map "
            f"{budget / 1e9:.2f} GB",
            "run a worker with fewer children (PIXFLEET_CONCURRENCY) on a machine with more "
            "memory, or set PIXFLEET_WORKER_CHILD_MEMORY_BYTES; it takes such jobs from the queue "
            "'large'. Or ask for smaller sizes",
        )


def _px(cut: Cut) -> int:
    canvas = cut.placement.canvas
    return canvas.width * canvas.height


def _encoding_bytes(cut: Cut, limits: LimitSettings, *, alpha: bool) -> int:
    px = _px(cut)
    dearest = max(_ENCODING_BYTES_PER_PX[name] for name in cut.spec.formats) * px
    scoring = _SCORING_BYTES_PER_PX[alpha] * min(px, _SCORING_MOST_PX)
    return min(dearest, limits.max_encoder_bytes) + scoring
