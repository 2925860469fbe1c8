"""Time at some number of workers."""

from __future__ import annotations

import pytest

from pixfleet.workers.estimate import makespan


def test_one_worker_takes_the_sum_and_many_take_the_longest():
    walls_s = [3.0, 1.0, 2.0, 5.0]

    assert makespan(walls_s, 1) == 11
    assert makespan(walls_s, 4) == makespan(walls_s, 100) == 5


def test_a_long_image_at_the_end_keeps_the_others_waiting():
    assert makespan([1, 1, 1, 1, 9], 2) == 11


def test_many_images_take_their_share_without_being_laid_out():
    assert makespan([0.5] * 1_000_000, 100) == pytest.approx(5_000)
