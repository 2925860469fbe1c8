"""MS-SSIM, the judge of the benches that knows nothing of SSIMULACRA2."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bench.judges.ms_ssim import MIN_SIDE_PX, WEIGHTS, ms_ssim


@pytest.fixture
def picture():
    dice = np.random.default_rng(3)
    y, x = np.mgrid[0:190, 0:201]
    waves = 128 + 60 * np.sin(x / 9) + 40 * np.cos(y / 17)
    noisy = waves[..., None] + dice.normal(0, 12, (190, 201, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def by_the_paper(original, coded):
    """Equation 7 in float64, every window cut out and weighted on its own."""
    offsets = np.arange(11) - 5
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    x, y = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(float) for one in (original, coded))
    result = 1.0
    for scale, weight in enumerate(WEIGHTS):
        windows = [np.lib.stride_tricks.sliding_window_view(one, (11, 11)) for one in (x, y)]

        def mean(values):
            return np.einsum("ijkl,kl->ij", values, window)

        mean_x, mean_y = map(mean, windows)
        variance_x = mean((windows[0] - mean_x[..., None, None]) ** 2)
        variance_y = mean((windows[1] - mean_y[..., None, None]) ** 2)
        both = (windows[0] - mean_x[..., None, None]) * (windows[1] - mean_y[..., None, None])
        contrast = (2 * mean(both) + 58.5225) / (variance_x + variance_y + 58.5225)
        luminance = (2 * mean_x * mean_y + 6.5025) / (mean_x**2 + mean_y**2 + 6.5025)
        last = scale == len(WEIGHTS) - 1
        result *= (contrast * luminance if last else contrast).mean() ** weight
        height, width = (side // 2 * 2 for side in x.shape)
        x, y = (
            one[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
            for one in (x, y)
        )
    return result


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.5])
def test_it_is_the_papers_equation(picture, sigma):
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma)
    assert ms_ssim(picture, blurred) == pytest.approx(by_the_paper(picture, blurred), abs=1e-5)


def test_identical_pictures_score_one_and_no_other_does(picture):
    touched = picture.copy()
    touched[90:110, 90:110] = 255 - touched[90:110, 90:110]
    assert ms_ssim(picture, picture) == pytest.approx(1, abs=1e-6)
    assert ms_ssim(picture, touched) < 0.99


def test_pictures_too_small_for_five_scales_or_of_other_sizes_are_refused(picture):
    with pytest.raises(ValueError, match=str(MIN_SIDE_PX)):
        ms_ssim(picture[: MIN_SIDE_PX - 1], picture[: MIN_SIDE_PX - 1])
    with pytest.raises(ValueError, match="differ"):
        ms_ssim(picture, picture[:-1])
