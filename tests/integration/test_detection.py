"""Which machine a worker is charged for: as set, as EC2 says, or as the book assumes."""

from __future__ import annotations

import os
import time
from decimal import Decimal

import pytest

from pixfleet.config.prices import PriceError, load_prices
from pixfleet.config.settings import Settings
from pixfleet.workers.spend.detection import charged, detect
from pixfleet.workers.spend.machine import this_machine
from tests.metadata import Metadata

BOOK = load_prices("aws-us-east-1")
OWN = BOOK.rates("", "spot")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    for name in os.environ:
        if name.startswith(("PIXFLEET_PRICES_", "PIXFLEET_SPOT_", "AWS_EC2_")):
            monkeypatch.delenv(name)
    monkeypatch.delenv("AWS_EXECUTION_ENV", raising=False)


@pytest.fixture
def ec2(monkeypatch):
    with Metadata() as running:
        running.describe("c7i.large", "spot")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", running.url)
        yield running


def here(monkeypatch, **environment):
    for name, value in environment.items():
        monkeypatch.setenv(f"PIXFLEET_{name}", value)
    return charged(Settings.load(), BOOK)


@pytest.mark.parametrize(
    ("life_cycle", "purchase"),
    [
        ("spot", "spot"),
        ("on-demand", "on_demand"),
        ("scheduled", "on_demand"),
        ("capacity-block", "on_demand"),
    ],
)
def test_an_ec2_machine_is_charged_whole_on_its_own_terms(ec2, monkeypatch, life_cycle, purchase):
    ec2.describe("c6i.large", life_cycle)

    found = here(monkeypatch)

    assert found.rates == BOOK.rates("c6i.large", purchase)
    assert (found.instance, found.purchase, found.vcpus) == ("c6i.large", purchase, 2)
    assert found.found == "EC2's metadata service"
    assert not found.warning


def test_a_kind_that_is_set_wins_over_what_was_found_and_keeps_its_terms(ec2, monkeypatch):
    ec2.describe("c6i.large", "on-demand")

    found = here(monkeypatch, PRICES_INSTANCE="c7g.large")

    assert found.rates == BOOK.rates("c7g.large", "on_demand")
    assert found.vcpus is None
    assert found.found == "PIXFLEET_PRICES_INSTANCE"


def test_terms_that_are_set_win_over_what_was_found_and_keep_its_kind(ec2, monkeypatch):
    ec2.describe("c6i.large", "spot")

    assert here(monkeypatch, PRICES_PURCHASE="on_demand").rates == BOOK.rates(
        "c6i.large", "on_demand"
    )


def test_where_both_are_set_nobody_is_asked(ec2, monkeypatch):
    here(monkeypatch, PRICES_INSTANCE="c7g.large", PRICES_PURCHASE="spot")

    assert ec2.asked == []


@pytest.mark.parametrize(
    ("kind", "life_cycle"),
    [
        pytest.param("x99.mega", "spot", id="kind"),
        pytest.param("c8a.large", "spot", id="terms"),
    ],
)
def test_a_machine_without_a_price_is_charged_as_the_books_own_with_a_warning(
    ec2, monkeypatch, kind, life_cycle
):
    ec2.describe(kind, life_cycle)

    found = here(monkeypatch)

    assert found.rates.core_second_usd == OWN.core_second_usd
    assert found.vcpus == os.cpu_count()
    assert found.rates.machine == f"c7i.large spot in place of {kind} spot"
    assert f"{kind} {life_cycle}" in found.warning
    assert f"pixfleet prices refresh --instances {kind}" in found.warning


def test_terms_that_are_set_but_have_no_price_are_an_error(ec2, monkeypatch):
    ec2.describe("c8a.large", "on-demand")

    with pytest.raises(PriceError, match="PIXFLEET_PRICES_PURCHASE=on_demand"):
        here(monkeypatch, PRICES_PURCHASE="spot")


@pytest.mark.parametrize("fault", ["500", "hang", "huge", "redirect"])
def test_a_metadata_service_gone_mad_is_passed_over_within_two_seconds(ec2, monkeypatch, fault):
    ec2.fault = fault
    start_s = time.monotonic()

    assert here(monkeypatch).rates == OWN
    assert time.monotonic() - start_s < 2


@pytest.mark.parametrize(
    "environment",
    [{"PIXFLEET_SPOT_WATCH": "off"}, {"AWS_EC2_METADATA_DISABLED": "true"}],
    ids=lambda environment: next(iter(environment)),
)
def test_a_metadata_service_that_may_not_be_asked_is_not(ec2, monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert detect(Settings.load()) is None
    assert ec2.asked == []


def test_a_worker_pays_for_all_of_a_machine_that_was_found_and_else_for_what_it_can_use(
    ec2, monkeypatch
):
    ec2.describe("c6i.large", "spot")

    assert this_machine(Settings.load(), BOOK, children=1).vcpus == 2
    monkeypatch.setenv("PIXFLEET_PRICES_VCPUS", "0.5")
    assert this_machine(Settings.load(), BOOK, children=1).vcpus == 0.5
    monkeypatch.delenv("PIXFLEET_PRICES_VCPUS")
    monkeypatch.setenv("PIXFLEET_SPOT_WATCH", "off")
    assert this_machine(Settings.load(), BOOK, children=1).vcpus == 1


def test_off_ec2_nothing_is_detected_and_it_costs_no_time(monkeypatch):
    start_s = time.monotonic()
    found = here(monkeypatch)

    assert time.monotonic() - start_s < 0.2
    assert (found.instance, found.purchase, found.vcpus) == ("c7i.large", "spot", None)
    assert found.found == "the book's own, none was found"


def test_on_fargate_cpu_and_memory_are_charged_as_ordered(monkeypatch):
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE")

    found = here(monkeypatch)

    assert found.instance in {"fargate-x86", "fargate-arm"}
    assert found.rates == BOOK.rates(found.instance)
    assert found.rates.gb_second_usd > Decimal(0)
    assert found.vcpus is None
