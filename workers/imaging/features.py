"""What can be said about an image cheaply: hashes, colours, sharpness, entropy, edges."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from PIL import Image

from .color import flatten
from .faces import FacesUnavailableError, find_faces
from .placeholder import thumbhash
from .resize import WHITE
from .saliency import saliency, saliency_png

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from numpy.typing import NDArray

    from .faces import FaceBox

LONGEST_PX: Final = 640
"""All features are taken at this size at most, so that they are comparable between images."""
_COLOURS: Final = 5
_COLOUR_PIXELS: Final = 96
_SEED: Final = 7
_HASH_SIDE: Final = 8
_DCT_SIDE: Final = 32
_CANNY: Final = (80.0, 160.0)


def working_copy(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``pixels`` (H, W, 3 or 4) shrunk by area to 640 px; smaller images stay as they are."""
    rows, columns = pixels.shape[:2]
    factor = LONGEST_PX / max(rows, columns)
    if factor >= 1.0:
        return pixels
    size = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # pyright: ignore[reportReturnType] (cv2 types every array loosely)


def extract(
    pixels: NDArray[np.uint8],
    which: Collection[str],
    *,
    faces: list[FaceBox] | None = None,
    saliency_map: NDArray[np.float32] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """The features asked for, and notes on what could not be had.

    ``pixels`` is uint8 (H, W, 3 or 4) sRGB, of any size; `working_copy` is made of it. ``which``
    holds names of the contract's ``features``. Results are keyed by the fields of the contract's
    ``Features``; ``faces`` is a list of `FaceBox` in fractions of the image. Faces and saliency
    that the caller has already are taken over.
    """
    small = working_copy(pixels)
    opaque = flatten(small, WHITE)
    found: dict[str, Any] = {}
    notes: list[str] = []
    if faces is None and {"faces", "saliency"} & set(which):
        try:
            faces = find_faces(opaque)
        except FacesUnavailableError as error:
            notes.append(str(error))
    if "faces" in which:
        found["faces"] = faces
    if "saliency" in which:
        if saliency_map is None:
            saliency_map = saliency(small, faces or [])
        found["saliency_png"] = base64.b64encode(saliency_png(saliency_map)).decode()
    if "thumbhash" in which:
        found["thumbhash"] = base64.b64encode(thumbhash(small)).decode()
    if "colors" in which:
        found["colors"] = dominant_colors(small)
    luma = cv2.cvtColor(opaque, cv2.COLOR_RGB2GRAY)
    for name, (field, measure, source) in _MEASURES.items():
        if name in which:
            found[field] = measure(luma if source == "luma" else opaque)
    return found, notes


def phash(pixels: NDArray[np.uint8]) -> str:
    """64-bit perceptual hash of RGB, hex; equal to ImageHash's ``phash`` of the same pixels."""
    grey = _grey(pixels, _DCT_SIDE, _DCT_SIDE)
    low = cv2.dct(grey.astype(np.float64))[:_HASH_SIDE, :_HASH_SIDE]
    # ImageHash's transform is not orthonormal: its first row and column weigh sqrt(2) more.
    low[0] *= np.sqrt(2.0)
    low[:, 0] *= np.sqrt(2.0)
    return _hex(low > np.median(low))


def dhash(pixels: NDArray[np.uint8]) -> str:
    """64-bit difference hash of RGB, hex; equal to ImageHash's ``dhash`` of the same pixels."""
    grey = _grey(pixels, _HASH_SIDE + 1, _HASH_SIDE)
    return _hex(grey[:, 1:] > grey[:, :-1])


def dominant_colors(pixels: NDArray[np.uint8]) -> list[tuple[str, float]]:
    """Up to five colours as (``#rrggbb``, share 0-1), largest share first.

    k-means in CIE Lab over visible pixels at 96 px, seeded, so that the same pixels give the same
    colours; clusters that nearly coincide are one.
    """
    factor = min(1.0, _COLOUR_PIXELS / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    visible = small.reshape(-1, small.shape[2])
    if small.shape[2] == 4:
        visible = visible[visible[:, 3] >= 128][:, :3]
    if not len(visible):
        return []
    lab = cv2.cvtColor(
        np.ascontiguousarray(visible)[None].astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab
    )[0]
    counts, centres = _clusters(lab, min(_COLOURS, len(np.unique(visible, axis=0))))
    rgb = cv2.cvtColor(centres[None].astype(np.float32), cv2.COLOR_Lab2RGB)[0]
    shares: dict[str, float] = {}
    for index in np.argsort(-counts, kind="stable"):
        if counts[index]:
            red, green, blue = np.rint(rgb[index] * 255.0).clip(0, 255).astype(int)
            key = f"#{red:02x}{green:02x}{blue:02x}"
            shares[key] = shares.get(key, 0.0) + float(counts[index]) / len(visible)
    return [(key, round(share, 4)) for key, share in shares.items()]


def _clusters(lab: NDArray[Any], count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Size and centre of each of ``count`` clusters of points (N, 3)."""
    if count == 1:
        return np.array([len(lab)]), lab.mean(axis=0, keepdims=True)
    cv2.setRNGSeed(_SEED)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
    _, labels, centres = cv2.kmeans(lab, count, None, stop, 3, cv2.KMEANS_PP_CENTERS)  # pyright: ignore[reportCallIssue,reportArgumentType] (None: no first labels)
    return np.bincount(labels.ravel(), minlength=count), centres


def sharpness(luma: NDArray[Any]) -> float:
    """Variance of the Laplacian of uint8 luma (Pech-Pacheco et al., 2000); 0 for a flat image."""
    return round(float(cv2.Laplacian(luma, cv2.CV_32F).var()), 3)


def entropy_bits(luma: NDArray[Any]) -> float:
    """Shannon entropy of the histogram of uint8 luma, 0-8 bits."""
    counts = np.bincount(luma.ravel(), minlength=256)
    shares = counts[counts > 0] / luma.size
    return round(float(max(0.0, -(shares * np.log2(shares)).sum())), 4)


def edge_density(luma: NDArray[Any]) -> float:
    """Share, 0-1, of pixels on a Canny edge of uint8 luma."""
    return round(float(np.count_nonzero(cv2.Canny(luma, *_CANNY)) / luma.size), 5)


def _grey(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    # Pillow's own grey and Lanczos: the hash is bit-compatible only with both.
    image = Image.fromarray(pixels).convert("L")
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def _hex(bits: NDArray[np.bool_]) -> str:
    return np.packbits(bits.ravel()).tobytes().hex()


_MEASURES: Final[dict[str, tuple[str, Callable[[NDArray[Any]], str | float], str]]] = {
    "phash": ("phash", phash, "rgb"),
    "dhash": ("dhash", dhash, "rgb"),
    "sharpness": ("sharpness", sharpness, "luma"),
    "entropy": ("entropy_bits", entropy_bits, "luma"),
    "edges": ("edge_density", edge_density, "luma"),
}
