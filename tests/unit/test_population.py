"""What is known of images before one is decoded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from pixfleet.config.recipes import load_recipe
from pixfleet.config.settings import Settings
from pixfleet.workers.population import survey

SAMPLES = Path(__file__).parents[2] / "samples"


def surveyed(folder: Path, recipe: str = "web"):
    return survey(str(folder), "", load_recipe(recipe), Settings.load().limits)


def by_name(population, auxiliary: str):
    names = [source.name for source in population.sources]
    return dict(zip(names, population.auxiliaries[auxiliary], strict=True))


def test_work_follows_what_is_made_of_an_image_and_not_its_bytes(tmp_path):
    Image.new("RGB", (2000, 1500), "navy").save(tmp_path / "flat.png")
    shutil.copy(SAMPLES / "kodim23.png", tmp_path)

    found = surveyed(tmp_path)

    work, sizes = by_name(found, "expected work"), by_name(found, "bytes")
    assert sizes["flat.png"] < sizes["kodim23.png"] / 10
    assert work["flat.png"] > 3 * work["kodim23.png"]


def test_a_size_beyond_the_recipes_largest_adds_little_work(tmp_path):
    Image.new("RGB", (2100, 2100), "navy").save(tmp_path / "a.png")
    Image.new("RGB", (4200, 4200), "navy").save(tmp_path / "b.png")

    work = by_name(surveyed(tmp_path), "expected work")

    assert 1 < work["b.png"] / work["a.png"] < 1.5


def test_an_image_without_a_readable_size_is_expected_to_take_what_others_take_for_a_byte(tmp_path):
    shutil.copy(SAMPLES / "kodim23.png", tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no image at all")

    found = surveyed(tmp_path)

    work, sizes = by_name(found, "expected work"), by_name(found, "bytes")
    a_byte = work["kodim23.png"] / sizes["kodim23.png"]
    assert work["broken.jpg"] == pytest.approx(a_byte * 15)


def test_a_file_that_is_gone_and_an_empty_one_are_counted(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "empty.png").touch()

    found = surveyed(tmp_path)

    assert found.sizes == (0, 0)
    assert set(found.auxiliaries) == {"images", "bytes"}
