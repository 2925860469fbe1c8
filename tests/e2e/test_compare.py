"""``pixfleet compare`` from the outside: the page, the figures on stdout, the exit code."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image

from tests.hostile import HOSTILE


@pytest.fixture
def cat(samples, tmp_path):
    path = tmp_path / "cat.png"
    with Image.open(samples / "chelsea.png") as image:
        image.resize((226, 150)).save(path)
    return path


def images_of(page):
    """The data that the page draws itself from, a dictionary a picture."""
    text = page.read_text("utf-8")
    found = re.search(r'id="data-images">(.*?)</script>', text, re.DOTALL)
    return [json.loads(line) for line in found[1].splitlines()]


def test_the_page_and_stdout_hold_the_same_figures(cat, tmp_path, pixfleet):
    done = pixfleet("compare", cat, "--quality", "80/65", "--out", tmp_path / "site", "--json")

    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert not done.stderr
    assert answer["page"] == str(tmp_path / "site" / "compare.html")
    assert answer["failures"] == []
    (image,) = answer["images"]
    assert (image["name"], image["width"], image["height"]) == ("cat.png", 226, 150)
    assert [one["format"] for one in image["formats"]] == ["jpeg", "avif"]
    for one in image["formats"]:
        assert [promise["promise"] for promise in one["promises"]] == ["80", "80/65"]
    (shown,) = images_of(tmp_path / "site" / "compare.html")
    for told, seen in zip(image["formats"], shown["formats"], strict=True):
        for promise, drawn in zip(told["promises"], seen["promises"], strict=True):
            for role in ("pixfleet", "same_bytes", "same_score"):
                assert promise[role].items() <= drawn[role].items()
    sums = {(one["format"], one["promise"]): one for one in answer["sums"]}
    assert set(sums) == {(f, p) for f in ("jpeg", "avif") for p in ("80", "80/65")}


def test_a_broken_file_does_not_stop_the_others_and_the_exit_code_tells(cat, tmp_path, pixfleet):
    broken = {name: tmp_path / name for name in ("truncated.jpg", "empty.jpg")}
    for name, path in broken.items():
        path.write_bytes(HOSTILE[name][0])
    page = tmp_path / "page.html"

    done = pixfleet(
        *("compare", broken["truncated.jpg"], cat, broken["empty.jpg"], "--formats", "jpeg"),
        *("--out", page, "--json"),
    )

    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert [image["name"] for image in answer["images"]] == ["cat.png"]
    assert {failure["source"]: failure["code"] for failure in answer["failures"]} == {
        str(broken["truncated.jpg"]): "image_truncated",
        str(broken["empty.jpg"]): "source_empty",
    }
    assert f"{broken['truncated.jpg']}: image_truncated: " in done.stderr
    assert [image["name"] for image in images_of(page)] == ["cat.png"]


def test_without_json_a_table_and_the_page_are_told(cat, tmp_path, pixfleet, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = pixfleet("compare", cat, "--width", "100", "--formats", "webp", "--recipe", "thumbnail")

    assert done.returncode == 0
    assert re.search(r"^webp +70 ", done.stdout, re.MULTILINE)
    assert f"page: {tmp_path / 'compare.html'}" in done.stdout
    (image,) = images_of(tmp_path / "compare.html")
    assert image["width"] == 100


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["nowhere.png"], "no such file or folder", id="no-file"),
        pytest.param(["--recipe", "wbe"], "'wbe'", id="no-recipe"),
        pytest.param(["--formats", "jpeg,heic"], "heic: of jpeg, avif, webp, jxl", id="no-format"),
        pytest.param(["--quality", "65/80"], "the salient floor is the higher one", id="floors"),
        pytest.param(["--quality", "80/"], "background", id="half-a-quality"),
        pytest.param(["--quality", "5"], "greater than or equal to 10", id="too-low"),
        pytest.param(["--width", "0"], "--width", id="no-width"),
    ],
)
def test_wrong_usage_exits_2_and_writes_nothing(options, said, cat, tmp_path, pixfleet):
    page = tmp_path / "page.html"
    done = pixfleet("compare", cat, *options, "--out", page, COLUMNS="200")

    assert done.returncode == 2
    assert said in done.stderr
    assert not done.stdout
    assert not page.exists()


def test_a_page_that_cannot_be_written_is_told_with_its_reason(cat, tmp_path, pixfleet):
    (tmp_path / "taken").write_text("a file, no folder")
    out = tmp_path / "taken" / "page.html"
    done = pixfleet("compare", cat, "--width", "64", "--formats", "jpeg", "--out", out)

    assert done.returncode == 1
    assert str(out) in done.stderr
    assert "Traceback" not in done.stderr
