from __future__ import annotations

import subprocess
import sys
import time
from decimal import Decimal

import pytest

from pixfleet.config.prices import PriceError, load_prices
from pixfleet.config.results import Receipt
from pixfleet.workers.spend.meter import Meter, merge

PRICES = load_prices("aws-us-east-1")


def burn(cpu_s: float) -> None:
    until = time.process_time() + cpu_s
    while time.process_time() < until:
        pass


def test_a_nested_stage_is_charged_once():
    meter = Meter(PRICES)
    before = time.process_time()
    with meter.stage("outer"):
        burn(0.02)
        with meter.stage("inner"):
            burn(0.06)
        burn(0.02)
    used = time.process_time() - before
    receipt = meter.receipt()
    cpu_s = {stage.stage: stage.cpu_s for stage in receipt.stages}
    assert cpu_s["inner"] == pytest.approx(0.06, abs=0.015)
    assert cpu_s["outer"] == pytest.approx(0.04, abs=0.015)
    assert receipt.cpu_s == pytest.approx(used, abs=0.005)


def test_cpu_of_a_child_process_is_charged_to_the_stage_that_waited_for_it():
    meter = Meter(PRICES)
    code = "import time\nwhile time.process_time() < 0.15: pass"
    with meter.stage("encode"):
        subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
    assert meter.receipt().cpu_s >= 0.14


def test_sleeping_costs_wall_time_and_no_cpu():
    meter = Meter(PRICES)
    with meter.stage("wait"):
        time.sleep(0.1)
    (stage,) = meter.receipt().stages
    assert stage.wall_s >= 0.1
    assert stage.cpu_s < 0.05


def test_a_stage_that_raises_is_charged_all_the_same():
    meter = Meter(PRICES)

    def fail():
        with meter.stage("encode"):
            burn(0.03)
            raise ValueError("it broke")

    with pytest.raises(ValueError, match="it broke"):
        fail()
    with meter.stage("after"):
        pass
    cpu_s = {stage.stage: stage.cpu_s for stage in meter.receipt().stages}
    assert cpu_s["encode"] >= 0.03
    assert cpu_s["after"] < 0.02


def test_the_cost_is_exactly_the_sum_of_its_lines():
    meter = Meter(PRICES)
    with meter.stage("encode"):
        burn(0.01)
    meter.request("s3_get", 3)
    meter.request("s3_put")
    meter.bytes_in(1000)
    meter.bytes_out(300)
    receipt = meter.receipt()
    assert receipt.lines_usd["s3_get"] == Decimal("0.0000012")
    assert receipt.lines_usd["s3_put"] == Decimal("0.000005")
    assert receipt.lines_usd["cpu"] == meter.cpu_cost(receipt.cpu_s) > 0
    assert receipt.cost_usd == sum(receipt.lines_usd.values())
    assert receipt.requests == {"s3_get": 3, "s3_put": 1}
    assert (receipt.bytes_in, receipt.bytes_out) == (1000, 300)
    assert receipt.price_book == "aws-us-east-1 2026-07-20"


def test_no_line_is_finer_than_a_nano_dollar():
    meter = Meter(PRICES)
    with meter.stage("encode"):
        burn(0.003)
    for usd in meter.receipt().lines_usd.values():
        assert usd == usd.quantize(Decimal("1e-9"))


def test_cpu_is_charged_at_the_price_of_the_machine_in_use():
    spot = Meter(PRICES, instance="c7i.large", purchase="spot").cpu_cost(3600)
    on_demand = Meter(PRICES, instance="c7i.large", purchase="on_demand").cpu_cost(3600)
    assert spot == Decimal("0.01815")
    assert on_demand == Decimal("0.044625")


def test_an_unknown_machine_is_refused_when_the_meter_is_made():
    with pytest.raises(PriceError, match=r"x1\.huge"):
        Meter(PRICES, instance="x1.huge")


def test_a_request_without_a_price_is_refused_rather_than_free():
    with pytest.raises(PriceError, match="carrier_pigeon"):
        Meter(PRICES).request("carrier_pigeon")


def test_merged_receipts_add_up_exactly():
    parts = []
    for part in range(7):
        meter = Meter(PRICES)
        with meter.stage("encode"):
            burn(0.002)
        with meter.stage(f"own-{part}"):
            burn(0.001)
        meter.request("s3_get", part + 1)
        meter.saved(Decimal("0.000000001"), 0.5)
        parts.append(meter.receipt())
    whole = merge(parts)
    assert whole.cost_usd == sum(part.cost_usd for part in parts)
    assert whole.cost_usd == sum(whole.lines_usd.values())
    assert whole.requests == {"s3_get": 28}
    assert [stage.stage for stage in whole.stages].count("encode") == 1
    assert whole.cpu_s == pytest.approx(sum(stage.cpu_s for stage in whole.stages))
    assert (whole.saved_usd, whole.saved_cpu_s, whole.memo_hits) == (Decimal("7e-9"), 3.5, 7)
    assert whole.price_book == PRICES.label


def test_merging_nothing_is_an_empty_receipt():
    assert merge([]) == Receipt()


def test_a_receipt_survives_json_to_the_last_nano_dollar():
    meter = Meter(PRICES)
    meter.saved(Decimal("0.000000001"), 0)
    meter.request("s3_get")
    receipt = meter.receipt()
    assert Receipt.model_validate_json(receipt.model_dump_json()) == receipt
