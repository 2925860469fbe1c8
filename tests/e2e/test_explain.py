"""``pixfleet explain`` from the outside: images, a manifest, a job, and what is none of them."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def explain(pixfleet, samples, home):
    def run(*arguments, picture="coffee.png", code=0):
        asked = [samples / picture, "--state", home, "--variant", "w320", *arguments]
        done = pixfleet("explain", *map(str, asked))
        assert done.returncode == code, done.stderr
        return done

    return run


def test_every_candidate_has_its_price_and_one_is_chosen(explain):
    avif, jpeg = json.loads(explain("--json").stdout)
    assert (avif["format"], jpeg["format"]) == ("avif", "jpeg")
    for variant in (avif, jpeg):
        verdicts = [one["verdict"] for one in variant["candidates"]]
        assert verdicts[0] == "chosen"
        assert verdicts.count("chosen") == 1
        assert variant["candidates"][0]["bytes"] == variant["bytes"]
        life = variant["lifetime"]
        causes = ("compute_usd", "requests_usd", "storage_usd", "egress_usd")
        assert sum(Decimal(life[cause]) for cause in causes) == Decimal(life["total_usd"])


def test_more_views_buy_a_slower_effort(explain):
    seldom = json.loads(explain("--json", "--views", "0", "--retention-months", "0").stdout)[0]
    often = json.loads(explain("--json", "--views", "100000", "--max-cpu-s-per-mp", "4").stdout)[0]
    assert seldom["candidates"][0]["effort"] == "speed 9"
    assert often["candidates"][0]["effort"] != "speed 9"
    assert often["bytes"] < seldom["bytes"]


def test_a_table_says_why(explain):
    shown = explain().stdout
    assert "coffee.png  w320.avif" in shown
    assert "chosen: the least cost" in shown
    assert "keeping it 12 months" in shown


def test_an_objective_stands_in_for_the_recipes(explain):
    avif = json.loads(explain("--json", "--objective", "fastest").stdout)[0]
    assert avif["candidates"][0]["reason"] == "the least CPU"


def test_a_variant_that_the_recipe_has_not_is_told_with_those_it_has(pixfleet, samples):
    done = pixfleet("explain", str(samples / "coffee.png"), "--variant", "w64")
    assert done.returncode == 2
    assert "it has w320, w640" in done.stderr


def test_a_manifest_is_explained_without_work(pixfleet, samples, tmp_path):
    out = tmp_path / "out"
    state = ["--state", str(tmp_path / "state")]
    pixfleet("run", str(samples / "coffee.png"), "--out", str(out), "--recipe", "thumbnail", *state)
    done = pixfleet("explain", str(out / "manifest.jsonl"))
    assert done.returncode == 0
    assert "thumb." in done.stdout


def test_a_file_that_is_no_manifest_is_refused_by_name(pixfleet, tmp_path):
    wrong = tmp_path / "other.json"
    wrong.write_text("{}")
    done = pixfleet("explain", str(wrong))
    assert done.returncode == 2
    assert "other.json is no manifest of this version" in done.stderr
