"""Where images go."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixfleet.workers.imaging.geometry import Size, place

SOURCE = Size(4000, 3000)
sides = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("fit", "box", "size", "canvas", "window"),
    [
        ("fit", (1000, None), (1000, 750), (1000, 750), (0, 0, 4000, 3000)),
        ("fit", (None, 300), (400, 300), (400, 300), (0, 0, 4000, 3000)),
        ("fit", (1000, 300), (400, 300), (400, 300), (0, 0, 4000, 3000)),
        ("fit", (9000, 9000), (4000, 3000), (4000, 3000), (0, 0, 4000, 3000)),
        ("cover", (1000, 300), (1000, 750), (1000, 750), (0, 0, 4000, 3000)),
        ("fill", (500, 500), (500, 500), (500, 500), (500, 0, 3000, 3000)),
        ("fill", (6000, 3000), (4000, 2000), (4000, 2000), (0, 500, 4000, 2000)),
        ("pad", (1000, 1000), (1000, 750), (1000, 1000), (0, 0, 4000, 3000)),
        ("crop", (1000, 500), (1000, 500), (1000, 500), (1500, 1250, 1000, 500)),
    ],
    ids=lambda value: str(value).replace(" ", ""),
)
def test_a_fit_places_the_image_as_documented(fit, box, size, canvas, window):
    placement = place(SOURCE, width=box[0], height=box[1], fit=fit)
    assert (placement.size, placement.canvas) == (size, canvas)
    assert placement.window == pytest.approx(window)


def test_an_enlarged_fill_meets_its_box_though_the_source_is_smaller():
    placement = place(Size(100, 50), width=300, height=300, fit="fill", enlarge=True)
    assert placement.canvas == (300, 300)
    assert placement.window == pytest.approx((25, 0, 50, 50))


@pytest.mark.parametrize(
    ("focus", "left"), [((0.5, 0.5), 500), ((0.0, 0.5), 0), ((1.0, 0.5), 1000), ((0.6, 0.1), 900)]
)
def test_a_smart_window_is_centred_on_the_focus_and_stays_inside(focus, left):
    placement = place(SOURCE, width=500, height=500, fit="smart", focus=focus)
    assert placement.window == pytest.approx((left, 0, 3000, 3000))


def test_a_padded_image_lies_in_the_middle_of_its_canvas():
    placement = place(SOURCE, width=1000, height=1000, fit="pad")
    assert placement.offset == (0, 125)


@settings(deadline=None)  # the first call may load what the rest finds loaded
@given(
    sides, sides, sides, sides, st.sampled_from(["fit", "cover", "fill", "smart", "pad", "crop"])
)
def test_no_placement_has_an_empty_side_enlarges_or_leaves_the_source(
    wide, high, width, height, fit
):
    source = Size(wide, high)
    placement = place(source, width=width, height=height, fit=fit, focus=(0.9, 0.2))
    x, y, cut_wide, cut_high = placement.window
    assert min(placement.size) >= 1
    assert placement.size.width <= wide
    assert placement.size.height <= high
    assert x >= 0
    assert y >= 0
    assert x + cut_wide <= wide + 1e-6
    assert y + cut_high <= high + 1e-6
    if fit in {"fit", "fill", "smart", "crop", "pad"}:
        assert placement.canvas.width <= width
        assert placement.canvas.height <= height


def test_a_box_without_a_side_that_its_fit_needs_is_a_mistake():
    with pytest.raises(ValueError, match="both sides"):
        place(SOURCE, width=100, height=None, fit="fill")
