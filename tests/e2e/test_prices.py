"""``pixfleet prices``: what is charged, how old that is, and today's prices from AWS."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from pathlib import Path

import pytest

from pixfleet.config.prices import load_prices
from tests.metadata import Metadata
from tests.price_list import Aws

BOOKS = Path(__file__).parents[2] / "config" / "prices"
NOBODY = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
}
TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture
def prices(pixfleet, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("AWS_", "PIXFLEET_PRICES_"))]:
        monkeypatch.delenv(name)
    return lambda *arguments, **environment: pixfleet("prices", *arguments, **environment)


@pytest.fixture
def account():
    """The environment of an AWS account that tells prices on loopback."""
    with Aws() as running:
        yield {
            "AWS_ENDPOINT_URL": running.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }


@pytest.fixture
def book(tmp_path):
    """Own hardware's book, with the date of every price replaced: its path."""

    def dated(days_ago):
        seen = TODAY - dt.timedelta(days=days_ago)
        text = (BOOKS / "own-hardware.toml").read_text()
        place = tmp_path / "mine.toml"
        place.write_text(re.sub(r"date = \S+", f"date = {seen.isoformat()}", text))
        return str(place)

    return dated


@pytest.mark.parametrize("command", [(), ("list",)], ids=["bare", "list"])
def test_every_price_of_the_book_is_listed_with_date_and_source(prices, command):
    done = prices(*command, COLUMNS="200")

    assert done.returncode == 0
    for path, price in load_prices("aws-us-east-1").prices():
        (line,) = [
            line
            for line in done.stdout.splitlines()
            if line.lstrip(" *").startswith(" ".join(path[1:] or path) + "  ")
        ]
        assert f"{price.usd:f}" in line
        assert price.date.isoformat() in line
        assert price.source[:30] in line


def test_a_text_narrows_the_list_and_programs_get_age_and_use(prices):
    rows = json.loads(prices("list", "c7i.large", "--json").stdout)["prices"]

    assert {row["name"] for row in rows} >= {"c7i.large spot", "c7i.large on_demand"}
    assert all("c7i.large" in row["name"] + row["source"] for row in rows)
    assert {row["name"] for row in rows if row["in_use"]} == {"c7i.large spot"}
    for row in rows:
        assert row["age_days"] == (TODAY - dt.date.fromisoformat(row["date"])).days
        assert row["stale"] is (row["age_days"] > 180)


def test_prices_in_use_older_than_180_days_are_complained_of(prices, book):
    old = prices("list", PIXFLEET_PRICES_BOOK=book(181))

    assert old.returncode == 0
    assert "181 days ago: own spot, s3_get" in old.stderr
    assert "own on_demand" not in old.stderr
    assert "pixfleet prices refresh" in old.stderr
    assert prices("list", PIXFLEET_PRICES_BOOK=book(180)).stderr == ""


def test_a_machines_terms_are_shown_beside_each_other(prices):
    shown = json.loads(prices("show", "c6i.large", "--json").stdout)

    hours = {offer["terms"]: float(offer["hour_usd"]) for offer in shown["terms"]}
    assert (hours["spot"], hours["on_demand"]) == (0.0379, 0.085)
    assert float(shown["terms"][0]["vcpu_hour_usd"]) == 0.0379 / 2
    assert shown["charged"] is None


def test_which_machine_is_charged_here_and_why_is_shown(prices):
    with Metadata() as metadata:
        metadata.describe("c6i.large", "on-demand")
        shown = prices("show", AWS_EC2_METADATA_SERVICE_ENDPOINT=metadata.url).stdout

    assert "c6i.large in aws-us-east-1" in shown
    assert "charged here: c6i.large on_demand, by EC2's metadata service" in shown


def test_a_job_on_a_machine_without_a_price_says_in_whose_place_it_is_charged(
    run_json, samples, state, tmp_path
):
    with Metadata() as metadata:
        metadata.describe("x99.mega", "on-demand")
        endpoint = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url}
        code, _, lines = run_json(samples / "coffee.png", tmp_path, "--workers", "1", **endpoint)

    assert code == 0
    assert lines["coffee.png"]["receipt"]["machine"] == (
        "c7i.large on_demand in place of x99.mega on_demand"
    )
    log = (state / "logs" / "worker.log").read_text()
    assert log.count("pixfleet prices refresh --instances x99.mega") == 1


def test_todays_prices_are_written_and_then_used(prices, pixfleet, account, state):
    done = prices("refresh", "--json", **NOBODY | account)

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    place = state / "prices" / "us-east-1.toml"
    assert result["file"] == str(place)
    assert f"PIXFLEET_PRICES_BOOK={place}" in done.stderr
    assert "kept as they were (AWS has no such machine there): c7g.large on_demand" in done.stderr
    written = {" ".join(path[1:]): price for path, price in load_prices(str(place)).prices()}
    assert {written[name].date for name in result["fresh"] if name in written} == {TODAY}
    doctor = pixfleet("doctor", "--json", PIXFLEET_PRICES_BOOK=str(place), **NOBODY)
    (row,) = [row for row in json.loads(doctor.stdout) if row["part"] == "prices"]
    assert row["level"] == "ok"
    assert f"aws-us-east-1 {TODAY}: c7i.large spot" in row["found"]
    assert "$0.0355 an hour" in row["found"]


def test_a_second_refresh_keeps_the_machines_of_the_first(prices, account, tmp_path):
    place = tmp_path / "mine.toml"
    for name in ("c9i.xlarge", "c7i.large"):
        done = prices("refresh", "--instances", name, "--out", str(place), **NOBODY | account)
        assert done.returncode == 0, done.stderr

    assert load_prices(str(place)).rates("c9i.xlarge", "on_demand").vcpus == 4


def test_a_machine_that_aws_does_not_have_is_exit_code_1_and_the_rest_is_written(
    prices, account, state
):
    done = prices("refresh", "--instances", "c7i.large,c9z.large", **NOBODY | account)

    assert done.returncode == 1
    assert "not in the book: c9z.large (AWS has no such machine there)" in done.stderr
    assert load_prices(str(state / "prices" / "us-east-1.toml")).rates("c7i.large")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({}, ("no credentials", "AWS_ACCESS_KEY_ID"), id="no-credentials"),
        pytest.param(
            {
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            },
            ("AWS_ENDPOINT_URL_PRICING", "may this machine reach it"),
            id="no-network",
        ),
        pytest.param(
            {"AWS_PROFILE": "nobody"}, ("no credentials", "profile (nobody)"), id="no-profile"
        ),
    ],
)
def test_where_aws_cannot_be_asked_the_book_stays_and_the_reason_is_said(
    prices, state, environment, said
):
    done = prices("refresh", **NOBODY | environment)

    assert done.returncode == 1
    assert all(part in done.stderr for part in said)
    assert "price book aws-us-east-1" in done.stderr
    assert "stays in use" in done.stderr
    assert done.stdout == ""
    assert not (state / "prices").exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        pytest.param(("--instances", "c7i"), {}, "'c7i' is no instance type", id="instance"),
        pytest.param(("--region", "mars"), {}, "a region's name", id="region"),
        pytest.param(("--out", "mine.json"), {}, "has to end in .toml", id="suffix"),
        pytest.param(
            (), {"PIXFLEET_PRICES_BOOK": "own-hardware"}, "is not one of AWS's", id="own-book"
        ),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what(prices, arguments, environment, said):
    done = prices("refresh", *arguments, **NOBODY | environment)

    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_a_place_that_cannot_be_written_is_named(prices, account):
    done = prices("refresh", "--out", "/proc/nowhere/mine.toml", **NOBODY | account)

    assert done.returncode == 1
    assert "/proc/nowhere/mine.toml cannot be written" in done.stderr
