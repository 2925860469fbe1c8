"""Which pixels must look right: faces first, then text and strong edges, then detail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from .faces import FacesUnavailableError, find_faces
from .saliency import saliency

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Plane = NDArray[np.float32]

SALIENT_SHARE: Final = 0.12
"""Share of the pixels that faces and the strongest detail may take before they are rounded off."""

_FACE: Final = 0.76
_FAINT: Final = 0.15
_SMALLEST_SIDE_PX: Final = 16
_ROUNDED: Final = 0.015
_DILATED: Final = 0.012
_MOST_SHARE: Final = 0.6
_NEAR: Final = 0.012
_LEAST_REACH_PX: Final = 8.0


def salient_region(pixels: NDArray[np.uint8]) -> Mask:
    """Salient pixels of (H, W, 3 or 4) uint8 sRGB, as (H, W) bool; deterministic.

    From ``saliency.saliency``: every face with its margin, and of the rest the strongest edges and
    detail until an eighth of the pixels are taken. The region is then closed and dilated by about
    1.2% of the longest side, so that its border runs beside what it holds and not through it: 10
    to 60% of most photographs. Nothing is salient in a flat or tiny image.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < _SMALLEST_SIDE_PX:
        return np.zeros((height, width), bool)
    seen = saliency(pixels, _faces(pixels))
    faces = seen >= _FACE
    budget = SALIENT_SHARE - float(faces.mean())
    detail = np.zeros_like(faces)
    rest = seen[~faces]
    if budget > 0 and rest.size:
        keep = min(1.0, budget * seen.size / rest.size)
        threshold = max(_FAINT, float(np.quantile(rest, 1.0 - keep)))
        detail = seen > threshold
    chosen = faces | detail
    for dilated in (_DILATED, 0.0):
        region = _rounded(chosen, dilated)
        if region.mean() <= _MOST_SHARE:
            break
    smooth = cv2.resize(region.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return smooth >= 0.5


def depth(region: Mask) -> Plane:
    """How deep in the background each pixel lies: 0 in the region, 1 deep outside.

    (H, W) float32, rising smoothly over 1.2% of the longest side; all 1 without a region.
    """
    if not region.any():
        return np.ones(region.shape, np.float32)
    outside = (~region).astype(np.uint8)
    distance: Any = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_5)
    reach = max(_LEAST_REACH_PX, _NEAR * max(region.shape))
    slope = np.clip(distance / reach, 0.0, 1.0)
    return (slope * slope * (3.0 - 2.0 * slope)).astype(np.float32)


def _rounded(chosen: Mask, dilated: float) -> Mask:
    """Closed, then dilated by a share of the longest side; islands too small to see dropped."""
    longest = max(chosen.shape)
    close = _disc(_ROUNDED * longest)
    plane: Any = cv2.morphologyEx(chosen.astype(np.uint8), cv2.MORPH_CLOSE, close)
    if dilated:
        plane = cv2.dilate(plane, _disc(dilated * longest))
    return plane.astype(bool)


def _disc(radius: float) -> Any:
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _faces(pixels: NDArray[np.uint8]) -> list[Any]:
    try:
        return find_faces(np.ascontiguousarray(pixels[..., :3]))
    except FacesUnavailableError:
        return []
