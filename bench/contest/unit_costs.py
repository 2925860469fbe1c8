"""What single steps cost in the same run, so that figures of a busy machine can be read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pixfleet.workers.imaging.codec import Metadata
from pixfleet.workers.imaging.codecs import lossy_codecs
from pixfleet.workers.imaging.efforts import efforts_of
from pixfleet.workers.imaging.ssimulacra2 import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pixfleet.workers.imaging.codec import Codec
    from sets.masters import Master


def least_effort(format_name: str) -> Codec:
    """The format's first encoder, as it is used where time is dearest."""
    return lossy_codecs(format_name, efforts_of(format_name)[0], target=75)[0]


def unit_costs(masters: Sequence[Master]) -> str:
    """A sentence: median ms/MP of a reference, a score, and one plain encode of two codecs."""
    plain = [least_effort(name) for name in ("jpeg", "avif")]
    costs: list[NDArray[np.float64]] = []
    for master in masters:
        damaged = np.asarray(cv2.GaussianBlur(master.flat, (3, 3), 0.5), np.uint8)
        marks = [time.process_time()]
        reference = Reference(master.flat)
        marks.append(time.process_time())
        reference.score(damaged)
        marks.append(time.process_time())
        for codec, quality in zip(plain, (75, 60), strict=True):
            codec.encode(master.flat, quality, Metadata())
            marks.append(time.process_time())
        costs.append(np.diff(marks) * 1e3 / master.megapixels)
    reference_ms, score_ms, jpeg_ms, avif_ms = np.median(costs, axis=0).tolist()
    return (
        f"ms/MP in the same run: SSIMULACRA2 reference {reference_ms:.0f} once, score "
        f"{score_ms:.0f}; one plain encode by jpegli {jpeg_ms:.0f}, by AVIF {avif_ms:.0f}."
    )
