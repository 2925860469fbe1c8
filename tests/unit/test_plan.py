"""How a job is laid out."""

from __future__ import annotations

from typing import get_args

import pytest

from pixfleet.config.contract import Format, Recipe, VariantSpec
from pixfleet.workers.imaging.geometry import Size
from pixfleet.workers.pipeline import lay_out


@pytest.mark.parametrize("name", get_args(Format))
def test_every_format_has_a_rough_cost_to_plan_by(name):
    recipe = Recipe(name="r", variants=(VariantSpec(name="v", width=640, formats=(name,)),))

    (cut,), _ = lay_out(recipe, Size(1280, 960))

    assert 0 < cut.cpu_s < 1
