"""The Gaussian of SSIMULACRA2: sigma 1.5, as nine taps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]


def _gaussian_taps() -> Plane:
    """The impulse response of the program's recursive Gaussian at sigma 1.5, as FIR taps.

    Charalampidis, "Recursive implementation of the Gaussian filter using truncated cosine
    functions", IEEE Trans. Signal Processing 64(14), 2016: radius N = round(3.2795 sigma + 0.2546)
    = 5 and three cosines of frequency k pi / 2N, k = 1, 3, 5, cut at N, where all three are zero.
    The amplitudes make the taps sum to 1, have variance sigma², and match the Gaussian's
    spectrum in the direction that those two constraints leave free (equations 37 to 55).
    """
    sigma, radius = 1.5, 5
    omega = np.array([1, 3, 5]) * math.pi / (2 * radius)
    signs = np.array([1, -1, 1])
    p = signs / np.tan(omega / 2)
    r = signs * p * p / np.sin(omega)
    rho = np.exp(-0.5 * sigma * sigma * omega * omega) / radius
    free = np.cross(p, r)
    free = free / free[2]
    system = np.vstack([p, r, free])
    beta = np.linalg.solve(system, [1.0, radius**2 - sigma**2, float(free @ rho)])
    taps = np.cos(np.outer(np.arange(1 - radius, radius), omega)) @ beta
    return taps.astype(np.float32)


_TAPS: Final = _gaussian_taps()
HALO: Final = len(_TAPS) // 2


def blur(plane: Plane, out: Plane | None = None) -> Any:
    """The plane's Gaussian mean, (H, W) float32; beyond the borders all is zero.

    Into ``out``, of the same shape, where that is given.
    """
    return cv2.sepFilter2D(plane, -1, _TAPS, _TAPS, dst=out, borderType=cv2.BORDER_CONSTANT)
