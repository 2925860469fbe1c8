from __future__ import annotations

import datetime as dt
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from pixfleet.config.prices import (
    PriceError,
    built_in_books,
    from_nano,
    load_prices,
    to_nano,
)

BOOKS = Path(__file__).parents[2] / "config" / "prices"


@pytest.fixture
def mine(tmp_path):
    """A price book of one's own with some text replaced."""

    def write(old: str = "", new: str = "") -> str:
        text = (BOOKS / "own-hardware.toml").read_text()
        assert old in text
        path = tmp_path / "mine.toml"
        path.write_text(text.replace(old, new, 1))
        return str(path)

    return write


def test_a_vcpu_second_costs_the_hour_over_seconds_and_vcpus():
    book = load_prices("aws-us-east-1")
    assert book.rates("c7g.large", "on_demand").core_second_usd == Decimal("0.0725") / 7200
    assert book.rates("c7i.large", "spot").core_second_usd == Decimal("0.0363") / 7200


def test_what_is_ordered_by_the_piece_is_priced_by_cpu_and_memory():
    book = load_prices("aws-us-east-1")
    fargate, function = book.rates("fargate-arm"), book.rates("lambda-x86")
    assert fargate.vcpu_second_usd * 3600 == pytest.approx(Decimal("0.03238"))
    assert fargate.core_second_usd * 3600 == pytest.approx(Decimal("0.0395"))
    assert function.vcpu_second_usd == 0
    assert function.core_second_usd == Decimal("1.769") * Decimal("0.0000166667")


def test_a_million_s3_puts_cost_five_dollars_and_a_million_sqs_requests_forty_cents():
    book = load_prices("aws-us-east-1")
    assert book.request_usd("s3_put") * 1_000_000 == 5
    assert book.request_usd("s3_get") * 1_000_000 == Decimal("0.4")
    assert book.request_usd("sqs_request") * 1_000_000 == Decimal("0.40")


@pytest.mark.parametrize("name", ["aws-us-east-1", "own-hardware"])
def test_every_built_in_price_has_a_date_and_a_source(name):
    def prices(table):
        if "usd" in table:
            yield table
        else:
            for value in table.values():
                if isinstance(value, dict):
                    yield from prices(value)

    found = list(prices(tomllib.loads((BOOKS / f"{name}.toml").read_text())))
    assert len(found) >= 9
    for price in found:
        assert isinstance(price["date"], dt.date)
        assert len(price["source"]) > 5
    assert name in built_in_books()
    assert load_prices(name).rates().core_second_usd > 0


def test_aws_sells_no_built_in_machine_dearer_on_other_terms_than_on_demand():
    kinds = load_prices("aws-us-east-1").instances
    assert len(kinds) >= 30
    for name, kind in kinds.items():
        for other in filter(None, (kind.spot, kind.reserved_1y)):
            assert kind.on_demand.usd * 3 / 10 < other.usd < kind.on_demand.usd, name
        assert 0.03 < float(kind.on_demand.usd) / kind.vcpus < 0.06, name
        assert kind.memory_gb / kind.vcpus in {2, 4}, name


def test_a_float_is_refused_with_the_key_and_the_way_to_write_it(mine):
    with pytest.raises(PriceError) as caught:
        load_prices(mine('usd = "0.0348"', "usd = 0.0348"))
    assert "mine.toml" in str(caught.value)
    assert "instances.own.on_demand.usd" in str(caught.value)
    assert 'usd = "0.0348"' in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param("vcpus = 8", "", "instances.own.vcpus: is missing", id="missing"),
        pytest.param("vcpus", "cores", "instances.own.cores: is not a key", id="misspelt"),
        pytest.param('unit = "hour"', 'unit = "week"', "instances.own.on_demand.unit", id="unit"),
        pytest.param('usd = "0.0348"', 'usd = "-1"', "-1 is no price", id="negative"),
        pytest.param('usd = "0.0348"', 'usd = "NaN"', "NaN is no price", id="nan"),
        pytest.param('usd = "0.0348"', 'usd = "cheap"', "instances.own.on_demand.usd", id="word"),
        pytest.param('currency = "USD"', 'currency = "EUR"', "currency", id="currency"),
        pytest.param("[instances.own]", "[instances.own", "is not TOML", id="no-toml"),
    ],
)
def test_a_faulty_book_is_refused_with_the_key(mine, old, new, expected):
    with pytest.raises(PriceError) as caught:
        load_prices(mine(old, new))
    assert expected in str(caught.value)
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        pytest.param(lambda: load_prices("gcp"), "aws-us-east-1, own-hardware", id="book"),
        pytest.param(lambda: load_prices("/no/such.toml"), "/no/such.toml", id="file"),
        pytest.param(
            lambda: load_prices("own-hardware").rates("c7i.large"),
            "set PIXFLEET_PRICES_INSTANCE to one of own",
            id="instance",
        ),
        pytest.param(
            lambda: load_prices("aws-us-east-1").rates("c8g.large", "spot"),
            "PIXFLEET_PRICES_PURCHASE=on_demand",
            id="no-spot-price",
        ),
        pytest.param(
            lambda: load_prices("aws-us-east-1").rates("", "reserved"),
            "use spot, on_demand, reserved_1y",
            id="purchase",
        ),
        pytest.param(
            lambda: load_prices("own-hardware").request_usd("gcs_get"),
            "[requests.gcs_get]",
            id="request",
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_to_set(ask, expected):
    with pytest.raises(PriceError) as caught:
        ask()
    assert expected in str(caught.value)


def test_money_survives_the_way_through_integer_nano_dollars():
    for usd in ("0.000000001", "0.0000004", "12.345678912", "0"):
        assert from_nano(to_nano(Decimal(usd))) == Decimal(usd)
    assert sum(to_nano(Decimal("0.1")) for _ in range(10)) == to_nano(Decimal(1))
