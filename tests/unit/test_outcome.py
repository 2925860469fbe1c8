"""Which value an experiment ends with, beyond its cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from pixfleet.config.recipes import load_recipe
from pixfleet.workers.experiments import Experiment, Value
from pixfleet.workers.measurement import Figures, Use, Way
from pixfleet.workers.outcome import Outcome


def figures(busy_s: float, *, failed: int = 0, peak_bytes: int = 10**8) -> Figures:
    return Figures(
        images=10,
        failed=failed,
        busy_s=busy_s,
        cpu_s=busy_s,
        peak_bytes=peak_bytes,
        bytes_out=1000,
        uses={},
        encoders=frozenset(),
        startup_s=1.0,
    )


def outcome(**rounds: list[Figures]) -> Outcome:
    """Of values named by their children; one child is the present one."""
    values = tuple(
        Value(name, Way(load_recipe("web"), children), (f"PIXFLEET_CONCURRENCY={children}",))
        for children, name in enumerate(rounds, start=1)
    )
    experiment = Experiment(
        "concurrency", "environment", values, "one", lambda made: Decimal(made.busy_s)
    )
    return Outcome(experiment, 10, rounds)


def test_a_value_that_is_surely_cheaper_replaces_the_present_one():
    found = outcome(one=[figures(10), figures(10.1)], two=[figures(5), figures(5.1)])
    found.decide()

    assert found.chosen is not None
    assert found.chosen.lines == ("PIXFLEET_CONCURRENCY=2",)


@pytest.mark.parametrize(
    ("fault", "said"),
    [({"failed": 1}, "1 images failed"), ({"peak_bytes": 10**15}, "do not fit into memory")],
    ids=["images fail", "memory"],
)
def test_a_cheaper_value_that_costs_images_or_memory_is_out(fault, said):
    found = outcome(one=[figures(10)] * 2, two=[figures(5, **fault)] * 2)
    found.decide()

    assert found.chosen is None
    assert said in found.notes[0]


def test_images_are_compared_one_by_one_where_they_differ_more_than_rounds_do():
    def made(*costs: float) -> list[Figures]:
        uses = {str(place): Use(cost, Decimal(0)) for place, cost in enumerate(costs)}
        return [replace(figures(sum(costs)), uses=uses)]

    sure = outcome(one=made(1, 10, 100, 5), two=made(0.8, 8.1, 79, 4))
    unsure = outcome(one=made(1, 10, 100, 5), two=made(0.5, 13, 50, 7))
    for found in (sure, unsure):
        found.experiment = replace(found.experiment, image_usd=lambda use: Decimal(use.cpu_s))
        found.decide()

    assert sure.chosen is not None
    assert unsure.chosen is None


def test_where_time_costs_nothing_nothing_is_cheaper():
    found = outcome(one=[figures(0)] * 2, two=[figures(0)] * 2)
    found.decide()

    assert found.chosen is None
    assert "costs nothing" in found.notes[0]
