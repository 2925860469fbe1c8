"""``pixfleet advise`` after a real run, whose broker is gone."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from PIL import Image

IMAGES = 31


@pytest.fixture
def crops(tmp_path, samples):
    """Enough different small images to say something of."""
    folder = tmp_path / "in"
    folder.mkdir()
    with Image.open(samples / "kodim23.png") as image:
        whole = image.convert("RGB")
    for place in range(IMAGES):
        left, top = place * 8, place * 4
        whole.crop((left, top, left + 96, top + 64)).save(folder / f"{place}.jpg")
    return folder


def advise(pixfleet, *options):
    done = pixfleet("advise", "--json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_run_gives_advice_with_numbers_of_its_own(pixfleet, run_json, crops, tmp_path):
    code, run, _ = run_json(crops, tmp_path / "out", "--recipe", "thumbnail")
    assert (code, run["images"]) == (0, IMAGES)

    found = advise(pixfleet)

    assert found["images"] == IMAGES
    assert found["machine"] == "c7i.large spot"
    assert Decimal(found["month_usd"]) > 30 * Decimal(run["cost_usd"])
    by_topic = {one["topic"]: one for one in found["advice"]}
    # CPU of each image, the memory of a child that worked, and all kinds of machine
    assert by_topic["machine"]["verdict"] in ("fine", "gain")
    (takes,) = (line for line in by_topic["machine"]["evidence"] if "CPU s" in line)
    cpu_s, peak_gb = (float(word) for word in takes.replace(",", "").split() if "." in word)
    assert run["cpu_s"] / IMAGES <= cpu_s < 10 * run["cpu_s"] / IMAGES
    assert 0.03 < peak_gb < 1
    machines = {one["machine"]: one for one in found["machines"]}
    assert {"c7i.large spot", "c7i.large on_demand", "fargate-arm", "lambda-x86"} <= set(machines)
    costs = [Decimal(one["usd_per_1000_images"]) for one in found["machines"]]
    assert costs == sorted(costs)
    assert by_topic["reservation"]["verdict"] == "unknown"
    assert "14 more days" in by_topic["reservation"]["what"]

    table = pixfleet("advise", COLUMNS="140")
    assert table.returncode == 0
    assert "c7i.large spot (now)" in table.stdout
    assert "needs about 14 more days" in table.stdout

    own = advise(pixfleet, "--book", "own-hardware")
    assert {one["machine"].partition(" ")[0] for one in own["machines"]} == {"own"}


def test_without_a_record_it_says_where_one_comes_from(pixfleet):
    done = pixfleet("advise")
    assert (done.returncode, done.stdout) == (0, "")
    assert "pixfleet run samples" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--book", "nowhere", "no built-in price book"), ("--since", "soon", "is no time")],
    ids=["book", "time"],
)
def test_a_wrong_option_is_said_with_what_to_write(pixfleet, option, value, said):
    done = pixfleet("advise", option, value)
    assert done.returncode == 2
    assert said in done.stderr
