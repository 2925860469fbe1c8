"""What an image is about: faces first, then edges and detail, then the smooth rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .faces import FaceBox
    from .geometry import Size

LONGEST_PX: Final = 256
PNG_LONGEST_PX: Final = 64
_FACE_MARGIN: Final = 0.25
_DETAIL_SIGMA: Final = 0.012
_CENTRE_PULL: Final = 0.02


def saliency(pixels: NDArray[np.uint8], faces: Sequence[FaceBox]) -> NDArray[np.float32]:
    """Map of (h, w) float32, 0-1, at most 256 px long, of (H, W, 3 or 4) uint8 sRGB.

    Detail is gradient energy in luma and both colour differences (CIE Lab), pooled over about 1%
    of the longest side and compressed, so that a strong edge does not drown fine texture; hidden
    pixels have none. Faces are ellipses of 1, half as wide again as their box.
    """
    small = _shrunk(pixels, LONGEST_PX)
    alpha = small[..., 3].astype(np.float32) / 255.0 if small.shape[2] == 4 else None
    lab = cv2.cvtColor(np.ascontiguousarray(small[..., :3]), cv2.COLOR_RGB2Lab).astype(np.float32)
    if alpha is not None:
        lab[..., 0] *= alpha
    across = cv2.Sobel(lab, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(lab, cv2.CV_32F, 0, 1, scale=0.125)
    energy = np.sqrt(across * across + down * down).sum(axis=2)
    if alpha is not None:
        energy *= alpha
    sigma = max(1.0, _DETAIL_SIGMA * max(energy.shape))
    detail = np.sqrt(cv2.GaussianBlur(energy, (0, 0), sigma))
    strongest = float(np.percentile(detail, 99.0)) if detail.size else 0.0
    result = np.zeros(energy.shape, np.float32)
    if strongest > 0.5:
        # Faces stay above all detail.
        np.clip(detail * (0.75 / strongest), 0.0, 0.75, out=result)
    for face in faces:
        _draw(result, face)
    return result


def best_window(saliency_map: NDArray[np.float32], source: Size, box: Size) -> tuple[float, float]:
    """Centre of the window with the box's aspect ratio that holds most, in fractions of the sides.

    The window is the largest that fits; sums come from an integral image. A slight pull to the
    centre decides where the map is indifferent.
    """
    rows, columns = saliency_map.shape
    shrink = min(source.width / box.width, source.height / box.height)
    wide = min(columns, max(1, round(box.width * shrink / source.width * columns)))
    high = min(rows, max(1, round(box.height * shrink / source.height * rows)))
    sums = cv2.integral(saliency_map, sdepth=cv2.CV_64F)
    held = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    share = held / max(float(saliency_map.sum()), 1e-9)
    down, across = np.indices(share.shape, dtype=np.float64)
    off_centre = np.abs(down - (share.shape[0] - 1) / 2) / rows
    off_centre += np.abs(across - (share.shape[1] - 1) / 2) / columns
    top, left = np.unravel_index(int(np.argmax(share - _CENTRE_PULL * off_centre)), share.shape)
    return (float(left) + wide / 2) / columns, (float(top) + high / 2) / rows


def saliency_png(saliency_map: NDArray[np.float32]) -> bytes:
    """The map as a grey 8-bit PNG of at most 64 px, white = salient."""
    small = _shrunk(saliency_map, PNG_LONGEST_PX)
    grey = np.rint(small * 255.0).clip(0, 255).astype(np.uint8)
    _, encoded = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return encoded.tobytes()


def _draw(result: NDArray[np.float32], face: FaceBox) -> None:
    rows, columns = result.shape
    centre = ((face.x + face.width / 2) * columns, (face.y + face.height / 2) * rows)
    half = (1.0 + _FACE_MARGIN * 2) / 2
    axes = (max(1.0, face.width * columns * half), max(1.0, face.height * rows * half))
    mask = np.zeros(result.shape, np.float32)
    cv2.ellipse(
        mask,
        (round(centre[0]), round(centre[1])),
        (round(axes[0]), round(axes[1])),
        0.0,
        0.0,
        360.0,
        1.0,
        cv2.FILLED,
    )
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, 0.1 * min(axes)))
    np.maximum(result, soft, out=result)


def _shrunk(pixels: NDArray, longest_px: int) -> NDArray:  # pyright: ignore[reportMissingTypeArgument,reportUnknownParameterType] (any dtype)
    rows, columns = pixels.shape[:2]
    factor = longest_px / max(rows, columns)
    if factor >= 1.0:
        return pixels
    size = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
