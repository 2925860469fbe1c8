from __future__ import annotations

import subprocess
import sys
import time
from decimal import Decimal

import numpy as np
import pytest

from pixfleet.config.prices import NANO, PriceError, load_prices, to_nano
from pixfleet.config.results import Receipt
from pixfleet.workers.spend.meter import Meter, charges, merge

PRICES = load_prices("aws-us-east-1")


def burn(cpu_s: float) -> None:
    until = time.process_time() + cpu_s
    while time.process_time() < until:
        pass


def test_a_nested_stage_is_charged_once():
    meter = Meter(PRICES, PRICES.rates())
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
    meter = Meter(PRICES, PRICES.rates())
    code = "import time\nwhile time.process_time() < 0.15: pass"
    with meter.stage("encode"):
        subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
    assert meter.receipt().cpu_s >= 0.14


def test_sleeping_costs_wall_time_and_no_cpu():
    meter = Meter(PRICES, PRICES.rates())
    with meter.stage("wait"):
        time.sleep(0.1)
    (stage,) = meter.receipt().stages
    assert stage.wall_s >= 0.1
    assert stage.cpu_s < 0.05


def test_a_stage_that_raises_is_charged_all_the_same():
    meter = Meter(PRICES, PRICES.rates())

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
    meter = Meter(PRICES, PRICES.rates())
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
    meter = Meter(PRICES, PRICES.rates())
    with meter.stage("encode"):
        burn(0.003)
    for usd in meter.receipt().lines_usd.values():
        assert usd == usd.quantize(Decimal("1e-9"))


def test_cpu_is_charged_at_the_price_of_the_machine_in_use():
    spot = Meter(PRICES, PRICES.rates("c7i.large", "spot")).cpu_cost(3600)
    on_demand = Meter(PRICES, PRICES.rates("c7i.large", "on_demand")).cpu_cost(3600)
    assert spot == Decimal("0.01815")
    assert on_demand == Decimal("0.044625")


def test_stages_and_requests_sum_to_the_receipt_to_the_nano_dollar():
    meters = [Meter(PRICES, PRICES.rates(name)) for name in ("", "fargate-arm", "lambda-x86")]
    for meter in meters:
        for stage in ("decode", "encode", "store"):
            with meter.stage(stage):
                burn(0.002)
        meter.request("s3_put", 7)
    receipts = [meter.receipt() for meter in meters]
    for receipt in (*receipts, merge(receipts)):
        stages = sum(stage.cost_usd for stage in receipt.stages)
        assert stages == receipt.lines_usd["cpu"] > 0
        assert sum(charges(receipt).values()) == to_nano(receipt.cost_usd)


def test_memory_is_charged_where_it_is_ordered_and_only_there():
    kept = np.ones(50_000_000, np.uint8)
    for name, costs in (("c7i.large", False), ("lambda-x86", True)):
        meter = Meter(PRICES, PRICES.rates(name))
        with meter.stage("wait"):
            time.sleep(0.2)
        (stage,) = meter.receipt().stages
        assert stage.gb_s > 0.2 * kept.nbytes / 1e9
        gb_usd = Decimal(stage.gb_s) * PRICES.rates("lambda-x86").gb_second_usd
        assert (stage.cost_usd == gb_usd.quantize(NANO)) is costs


def test_a_request_without_a_price_is_refused_rather_than_free():
    with pytest.raises(PriceError, match="carrier_pigeon"):
        Meter(PRICES, PRICES.rates()).request("carrier_pigeon")


def test_merged_receipts_add_up_exactly():
    parts = []
    for part in range(7):
        meter = Meter(PRICES, PRICES.rates())
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
    meter = Meter(PRICES, PRICES.rates())
    meter.saved(Decimal("0.000000001"), 0)
    meter.request("s3_get")
    receipt = meter.receipt()
    assert Receipt.model_validate_json(receipt.model_dump_json()) == receipt


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is the process's whole life")
def test_the_peak_of_memory_is_that_of_the_step_and_not_of_what_came_before():
    def hold(count: int) -> None:
        np.ones(count, dtype=np.uint8)

    hold(400_000_000)
    meter = Meter(PRICES, PRICES.rates())
    with meter.stage("decode"):
        base = Meter(PRICES, PRICES.rates()).receipt().peak_bytes
        hold(150_000_000)
    peak = meter.receipt().peak_bytes
    assert base + 140_000_000 < peak < base + 250_000_000


def test_the_peak_of_a_job_is_the_highest_of_its_steps():
    assert merge([Receipt(peak_bytes=2), Receipt(peak_bytes=5), Receipt()]).peak_bytes == 5
