"""Each encoder's quality numbers, measured: where a search starts and which way it steps.

Fitted by ``bench/scales.py`` on 27 free photographs and pictures (Kodak, desktop wallpapers,
scikit-image's samples), each at up to 1280, 512 and 256 px, every encoder at 8 to 12 qualities.
``typical`` is the median of 100 - SSIMULACRA2 at a quality; ``predictor`` a Huber regression on
``texture.Texture`` of the logarithm of an image's distortion over the typical one, for scores from
55 to 92. The typical error given with each is the median absolute one on images left out of the
fit.
"""

from __future__ import annotations

from typing import Final

from .codec import QualityScale


def _every(step: float, lowest: float, highest: float) -> tuple[float, ...]:
    return tuple(lowest + step * at for at in range(round((highest - lowest) / step) + 1))


# libavif maps its hundred qualities to 64 quantiser steps: the first of each, in libavif 1.4. Where
# another version maps otherwise, two may be the same bytes, which costs a probe and no promise.
# fmt: off
_AVIF_QUALITIES: Final = (
    10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 35, 37, 39, 40, 42, 44, 45, 47, 49, 50,
    52, 54, 55, 56, 58, 59, 60, 62, 63, 64, 66, 67, 68, 70, 71, 72, 74, 75, 76, 78, 79, 80, 82,
    83, 84, 86, 87, 88, 90, 91, 92, 94, 95, 96, 98, 99, 100,
)
# fmt: on

# Typical error 0.10: 2.5 at a score of 75.
JPEGLI: Final = QualityScale(
    qualities=_every(1, 10, 100),
    typical=(
        (20, 55.24),
        (35, 43.67),
        (50, 38.17),
        (60, 33.49),
        (68, 28.99),
        (75, 25.64),
        (80, 22.65),
        (85, 19.75),
        (90, 15.46),
        (95, 10.72),
        (98, 8.37),
        (100, 7.54),
    ),
    predictor=(-0.3780, 0.1540, -0.2106, 0.1897, 0.3671, -0.0483, 0.1564, 0.1125),
    near=0.2,
)

# Typical error 0.09: 2.1 at a score of 75.
JPEG: Final = QualityScale(
    qualities=_every(1, 10, 100),
    typical=(
        (20, 67.34),
        (40, 42.27),
        (60, 32.75),
        (75, 25.38),
        (85, 18.98),
        (92, 13.76),
        (97, 9.49),
        (100, 7.72),
    ),
    predictor=(-0.3078, 0.0873, -0.1102, 0.1143, 0.3983, -0.0587, 0.1084, 0.1069),
)

# Typical error 0.07: 1.7 at a score of 75.
JPEG_FULL_CHROMA: Final = QualityScale(
    qualities=_every(1, 10, 100),
    typical=(
        (20, 63.06),
        (40, 38.36),
        (60, 29.42),
        (75, 22.14),
        (85, 16.16),
        (92, 11.08),
        (97, 6.31),
        (100, 3.89),
    ),
    predictor=(-0.0247, 0.0705, -0.2465, 0.2162, 0.1030, -0.0088, 0.0407, -0.0395),
)

# Typical error 0.09: 2.2 at a score of 75.
WEBP: Final = QualityScale(
    qualities=_every(0.5, 5, 100),
    typical=(
        (10, 73.71),
        (25, 55.45),
        (40, 44.66),
        (55, 37.16),
        (65, 32.44),
        (75, 28.94),
        (82, 21.84),
        (88, 16.60),
        (93, 12.91),
        (97, 10.61),
        (100, 9.75),
    ),
    predictor=(0.0472, 0.0725, -0.1490, 0.0207, 0.3585, -0.0886, 0.1198, -0.0190),
)

# Typical error 0.10: 2.5 at a score of 75.
AVIF: Final = QualityScale(
    qualities=_AVIF_QUALITIES,
    typical=(
        (15, 92.11),
        (28, 66.95),
        (40, 49.27),
        (50, 36.02),
        (58, 28.75),
        (65, 24.07),
        (72, 18.84),
        (80, 15.04),
        (88, 11.73),
        (94, 10.30),
        (98, 8.81),
        (100, 7.41),
    ),
    predictor=(-0.3652, 0.0925, -0.0765, 0.1425, 0.3909, -0.0784, 0.0800, 0.1224),
)

# Typical error 0.07: 1.9 at a score of 75.
AVIF_FULL_CHROMA: Final = QualityScale(
    qualities=_AVIF_QUALITIES,
    typical=(
        (15, 91.35),
        (40, 48.19),
        (58, 27.60),
        (72, 18.14),
        (80, 14.61),
        (88, 10.46),
        (94, 7.99),
        (98, 6.50),
        (100, 4.22),
    ),
    predictor=(-0.2093, 0.0966, -0.1218, 0.1617, 0.0950, -0.0592, 0.1035, 0.0725),
)

# Typical error 0.08: 2.1 at a score of 75; at up to 384 px.
HEIC: Final = QualityScale(
    qualities=_every(1, 10, 100),
    typical=(
        (12, 100.70),
        (20, 74.78),
        (28, 55.81),
        (36, 39.93),
        (44, 28.30),
        (52, 19.41),
        (60, 14.36),
        (68, 10.84),
        (76, 8.83),
        (84, 8.10),
        (92, 7.69),
        (100, 7.60),
    ),
    predictor=(-0.1838, -0.1137, 0.0341, 0.1919, 0.5692, -0.1187, -0.1767, 0.1574),
)

# Typical error 0.07: 1.7 at a score of 75.
JXL: Final = QualityScale(
    qualities=_every(0.25, 10, 99),
    typical=(
        (20, 60.10),
        (40, 43.63),
        (55, 35.22),
        (65, 30.04),
        (75, 24.26),
        (82, 19.98),
        (88, 14.12),
        (93, 10.64),
        (97, 6.52),
    ),
    predictor=(-0.0008, 0.0508, -0.2618, 0.1188, 0.1033, 0.1018, 0.1735, -0.3281),
)
