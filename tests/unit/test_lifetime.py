from __future__ import annotations

from decimal import Decimal

import pytest

from pixfleet.config.contract import Recipe, VariantSpec
from pixfleet.config.prices import load_prices
from pixfleet.workers.spend.lifetime import Lifetime

BOOK = load_prices("aws-us-east-1")
CPU_SECOND_USD = Decimal("0.00001")


def recipe(pick="each", **fields) -> Recipe:
    spec = VariantSpec(name="v", formats=("avif", "webp", "jpeg"), pick=pick)
    return Recipe(name="r", variants=(spec,), **fields)


def life(asked: Recipe) -> Lifetime:
    return Lifetime.of(asked, asked.variants[0], BOOK, CPU_SECOND_USD)


def test_a_file_costs_its_making_storing_keeping_and_sending():
    cost = life(recipe("best", retention_months=12, views=1000)).cost("avif", 1_000_000, 2.0)
    assert cost.compute_usd == Decimal("0.000020000")
    assert cost.requests_usd == Decimal("0.000005000")
    assert cost.storage_usd == Decimal("0.000276000")  # 0.023 a GB-month
    assert cost.egress_usd == 1000 * BOOK.egress_gb.usd / 1000
    causes = (cost.compute_usd, cost.requests_usd, cost.storage_usd, cost.egress_usd)
    assert cost.total_usd == sum(causes)


def test_formats_that_are_all_made_share_the_views_as_the_audience_accepts_them():
    asked = recipe(views=1000, audience={"avif": 0.9, "webp": 0.96})
    views = [life(asked).cost(name, 1, 0.0).views for name in ("avif", "webp", "jpeg")]
    assert views == pytest.approx([900, 60, 40])


def test_the_one_format_that_is_picked_is_sent_in_all_views():
    assert life(recipe("best", views=1000)).cost("webp", 1, 0.0).views == 1000


def test_the_cheapest_weighs_bytes_by_what_they_will_cost():
    seldom = life(recipe("best", views=1)).goal(recipe("best", views=1))
    often = life(recipe("best", views=1000)).goal(recipe("best", views=1000))
    assert often.byte_weight > 100 * seldom.byte_weight
    assert often.cpu_s_weight == seldom.cpu_s_weight == float(CPU_SECOND_USD)


@pytest.mark.parametrize(
    ("objective", "cpu", "byte"), [("smallest", 0.0, 1.0), ("fastest", 1.0, 0.0)]
)
def test_other_objectives_weigh_no_money(objective, cpu, byte):
    asked = recipe("best", objective=objective, views=10**6)
    goal = life(asked).goal(asked)
    assert (goal.cpu_s_weight, goal.byte_weight) == (cpu, byte)
