"""The same work on other machines."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pixfleet.config.prices import load_prices
from pixfleet.workers.spend.quotes import Work, quotes

HOUR = Work(images=1_000_000, cpu_s=3_600, lost_s=1, startup_s=1)


def offers(book: str, instance: str = ""):
    return {quote.machine: quote for quote in quotes(load_prices(book), instance, HOUR)}


def test_an_hour_of_one_core_costs_half_of_a_machine_of_two():
    found = offers("aws-us-east-1", "c7i.large")

    assert found["c7i.large on_demand"].compute_usd == pytest.approx(Decimal("0.044625"))
    assert found["c7i.large spot"].compute_usd == pytest.approx(Decimal("0.01815"))


def test_lambda_is_paid_by_memory_and_by_call():
    # 1.769 GB for an hour, and a million calls at 0.20.
    expected = Decimal("0.0000166667") * Decimal("1.769") * 3_600 + Decimal("0.20")

    assert offers("aws-us-east-1")["lambda-x86"].compute_usd == pytest.approx(expected)


def test_only_spot_is_expected_to_do_work_again():
    found = offers("aws-us-east-1")

    assert {name for name, quote in found.items() if quote.rework_usd} == {"c7i.large spot"}
    # Two seconds of every twenty hours.
    spot = found["c7i.large spot"]
    assert spot.rework_usd / spot.compute_usd == pytest.approx(Decimal(2) / 72_000)


def test_a_machine_is_not_quoted_on_terms_that_the_book_does_not_have():
    assert "c8g.large spot" not in offers("aws-us-east-1", "c8g.large")


def test_on_a_serverless_fleet_machines_are_quoted_as_the_books_own():
    assert "c7i.large spot" in offers("aws-us-east-1", "fargate-arm")
