"""Refreshing a price book from AWS, against a stand-in on loopback and moto."""

from __future__ import annotations

import datetime as dt
import tomllib
from decimal import Decimal

import pytest

from pixfleet.config.prices import load_prices
from pixfleet.workers.spend.price_file import to_toml, write_book
from pixfleet.workers.spend.price_list import AwsUnavailableError
from pixfleet.workers.spend.refresh import refresh
from tests.price_list import Aws, by_use, machine

TODAY = dt.date(2026, 11, 25)
BASE = load_prices("aws-us-east-1")


@pytest.fixture
def priced(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with Aws() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


def refreshed(*machines, region="us-east-1", base=BASE):
    asked = []
    result = refresh(base, region, machines or base.instances, TODAY, asked.append)
    assert asked
    return result


def prices(book):
    return {" ".join(path[1:] or path): price for path, price in book.prices()}


def test_every_price_that_aws_tells_is_taken_in_the_books_own_unit(priced):
    result = refreshed("c7i.large")
    now = prices(result.book)

    assert {name: str(now[name].usd) for name in result.fresh} == {
        "c7i.large on_demand": "0.09",
        "c7i.large reserved_1y": "0.06",
        "c7i.large spot": "0.0355",
        "lambda-x86 memory": "0.00002",
        "lambda-x86 request": "0.3",
        "lambda-arm memory": "0.00001",
        "lambda-arm request": "0.1",
        "fargate-x86 vcpu": "0.05",
        "fargate-x86 memory": "0.006",
        "s3_get": "0.0005",
        "s3_head": "0.0005",
        "s3_put": "0.006",
        "s3_list": "0.006",
        "sqs_request": "0.5",
        "cloudwatch_request": "0.02",
        "cloudwatch_metric_month": "0.25",
        "storage_gb_month": "0.024",
        "egress_gb": "0.08",
    }
    was = prices(BASE)
    assert all(now[name].unit == was[name].unit for name in result.fresh if name in was)
    assert {now[name].date for name in result.fresh} == {TODAY}
    assert now["s3_put"].source == "AWS price list of 2026-11-20, AmazonS3; sure"
    assert "median of 3 zones (0.03 to 0.04)" in now["c7i.large spot"].source
    assert priced.asked.count("AmazonECS") == 3  # pages, once for four prices


def test_what_aws_does_not_tell_clearly_stays_as_it_was_and_says_why(priced):
    result = refreshed("c7i.large")
    was, now = prices(BASE), prices(result.book)

    assert set(result.kept) == set(now) - set(result.fresh)
    assert all(now[name] == was[name] for name in result.kept)
    assert result.kept["fargate-arm memory"] == "AWS has 2 such prices there"
    assert result.kept["fargate-arm vcpu"] == "AWS has no such price in hours"
    assert result.kept["cloudfront_gb"] == "not asked for"
    assert result.book.label == "aws-us-east-1 2026-11-25"
    assert priced.asked


def test_a_machine_that_the_book_does_not_have_is_added_and_an_unknown_one_named(priced):
    priced.spot.append(("c9i.xlarge", "us-east-1a", "0.07", "2026-11-25T01:00:00.000Z"))

    result = refreshed("c9i.xlarge", "c9z.large")

    rates = result.book.rates("c9i.xlarge", "spot")
    assert (rates.vcpus, rates.memory_gb) == (4, 8)
    assert rates.core_second_usd == Decimal("0.07") / 4 / 3600
    assert result.kept["c7i.large spot"] == "not asked for"
    assert result.missing == {"c9z.large": "AWS has no such machine there"}
    assert priced.asked[-1] == "DescribeSpotPriceHistory"


def test_a_machine_without_a_reservation_or_spot_has_none_in_the_book(priced):
    result = refreshed("c9i.xlarge")

    kind = result.book.instances["c9i.xlarge"]
    assert (kind.spot, kind.reserved_1y) == (None, None)
    assert kind.on_demand.usd == Decimal("0.1785")
    assert priced.asked


def test_prices_of_another_region_say_so(priced):
    priced.products += [
        machine("c7g.large", "0.08", regionCode="eu-west-1", usagetype="EU-BoxUsage:c7g.large"),
        by_use(
            "AmazonS3",
            "EU-Requests-Tier1",
            [("0", "0.0000054", "Requests")],
            regionCode="eu-west-1",
            group="S3-API-Tier1",
        ),
    ]

    result = refreshed("c7g.large", region="eu-west-1")
    now = prices(result.book)

    assert result.book.name == "aws-eu-west-1"
    assert result.fresh == ["c7g.large on_demand", "s3_put", "s3_list"]
    assert (now["c7g.large on_demand"].usd, now["s3_put"].usd) == (
        Decimal("0.08"),
        Decimal("0.0054"),
    )
    assert all(now[name].source.endswith("; of aws-us-east-1") for name in result.kept)
    again = refreshed("c7g.large", region="eu-west-1", base=result.book)
    assert prices(again.book) == now


def test_without_the_right_to_read_the_price_list_spot_prices_are_still_refreshed(priced):
    priced.refuse_prices = True

    result = refreshed("c7i.large", "c9i.xlarge")

    assert result.fresh == ["c7i.large spot"]
    assert "pricing:GetProducts" in result.kept["s3_get"]
    assert "pricing:GetProducts" in result.kept["c7i.large on_demand"]
    assert "pricing:GetProducts" in result.missing["c9i.xlarge"]
    assert priced.asked.count("AmazonEC2") == 1  # a refusal is believed


def test_without_the_right_to_read_spot_prices_the_others_are_refreshed(priced):
    priced.refuse_spot = True

    result = refreshed("c7i.large")

    assert "ec2:DescribeSpotPriceHistory" in result.kept["c7i.large spot"]
    assert prices(result.book)["c7i.large spot"] == prices(BASE)["c7i.large spot"]
    assert "c7i.large on_demand" in result.fresh


def test_without_any_right_both_are_named(priced):
    priced.refuse_prices = priced.refuse_spot = True

    with pytest.raises(AwsUnavailableError) as caught:
        refreshed()
    assert "pricing:GetProducts" in str(caught.value)
    assert "ec2:DescribeSpotPriceHistory" in str(caught.value)
    assert "docs/money.md" in str(caught.value)


@pytest.mark.parametrize(
    ("attributes", "terms"),
    [
        pytest.param({"vcpu": "many"}, {}, id="size"),
        pytest.param({"vcpu": "0"}, {}, id="no-vcpus"),
        pytest.param({"memory": "NA"}, {}, id="memory"),
        pytest.param({"memory": "nan GiB"}, {}, id="nan-memory"),
        pytest.param({}, {"OnDemand": {}}, id="no-terms"),
        pytest.param({}, {"OnDemand": {"A": {"priceDimensions": {"B": {}}}}}, id="no-price"),
        pytest.param(
            {},
            {
                "OnDemand": {
                    "A": {"priceDimensions": {"B": {"unit": "Hrs", "pricePerUnit": {"USD": "NaN"}}}}
                }
            },
            id="nan",
        ),
        pytest.param(
            {},
            {
                "OnDemand": {
                    "A": {"priceDimensions": {"B": {"unit": "Hrs", "pricePerUnit": {"CNY": "1"}}}}
                }
            },
            id="other-currency",
        ),
    ],
)
def test_an_answer_that_makes_no_sense_changes_nothing_of_the_machine(priced, attributes, terms):
    odd = machine("c7i.large", "0.5")
    odd["product"]["attributes"] |= attributes
    odd["terms"] |= terms
    priced.products[0] = odd
    priced.spot.clear()

    result = refreshed("c7i.large")

    assert result.book.instances["c7i.large"] == BASE.instances["c7i.large"]
    assert "s3_get" in result.fresh


def test_spot_prices_come_from_moto_too(aws):  # noqa: ARG001 (its environment is what counts)
    result = refreshed("c7i.large")

    assert result.fresh == ["c7i.large spot"]
    assert prices(result.book)["c7i.large spot"].usd == Decimal("0.00001")


@pytest.mark.parametrize("name", ["aws-us-east-1", "own-hardware"])
def test_a_written_book_is_the_same_book(tmp_path, name):
    book = load_prices(name)
    place = tmp_path / "new" / "mine.toml"

    write_book(book, place)

    assert load_prices(str(place)) == book
    assert [file.name for file in place.parent.iterdir()] == ["mine.toml"]


def test_what_is_written_keeps_every_digit_and_odd_characters():
    price = BASE.egress_gb.model_copy(update={"usd": Decimal("1E-9"), "source": 'a "b"\\\n[x] é'})

    table = tomllib.loads(to_toml(BASE.model_copy(update={"egress_gb": price})))["egress_gb"]

    assert table["usd"] == "0.000000001"
    assert table["source"] == price.source
    assert table["date"] == price.date
