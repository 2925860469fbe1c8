"""What a budget may be, and what its file may say."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from pixfleet.config.budgets import Budget, BudgetError, load_budgets, make_budget

EXAMPLE = Path(__file__).parents[2] / "config" / "budgets.toml"
GOOD = '[[budget]]\nowner = "fleet"\nlimit_usd = "25.00"\n'


@pytest.fixture
def load(tmp_path):
    def read(text: str) -> list[Budget]:
        file = tmp_path / "budgets.toml"
        file.write_text(text)
        return load_budgets(file)

    return read


def test_the_example_declares_no_budget_and_is_valid_when_its_comments_are_taken_away(load):
    assert load_budgets(EXAMPLE) == []
    lines = EXAMPLE.read_text().partition("# [[budget]]")
    text = "\n".join(line.removeprefix("# ") for line in "".join(lines[1:]).split("\n"))
    fleet, tenant = load(text.replace("#\n", "\n"))
    assert (fleet.id, tenant.id) == ("fleet|month", "tenant:acme|day")
    defaults = Budget(owner="fleet", limit_usd=fleet.limit_usd)
    assert fleet == defaults, "the example shows other values than the defaults"


def test_thresholds_are_exact_nano_dollars_and_a_row_reads_back_as_the_budget():
    budget = Budget(
        owner="tenant:a", period="day", limit_usd=Decimal("0.30"), alert_at=(0.1, 0.7), idle=True
    )
    row = json.loads(budget.row())
    assert row["limit"] == 300_000_000
    assert row["rungs"] == [240_000_000, 270_000_000, 300_000_000]
    assert row["alerts"] == [30_000_000, 210_000_000]
    assert row["idle"] is False, "idle time is the fleet's alone"
    assert Budget.read(budget.row()) == budget


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"limit_usd": "-1"}, "-1 USD is no budget", id="negative"),
        pytest.param({"limit_usd": "0"}, "from 0.000000001", id="zero"),
        pytest.param({"limit_usd": "1e12"}, "is no budget", id="absurd"),
        pytest.param({"limit_usd": "NaN"}, "is no budget", id="not-a-number"),
        pytest.param({"limit_usd": "many"}, "is no amount", id="words"),
        pytest.param({"limit_usd": 25.1}, 'limit_usd = "25.1"', id="float"),
        pytest.param({"limit_usd": True}, "write the amount as a string", id="bool"),
        pytest.param({"limt_usd": "3"}, "limt_usd", id="misspelt-key"),
        pytest.param({"period": "fortnight"}, "'hour', 'day', 'week' or 'month'", id="period"),
        pytest.param({"owner": "acme"}, "tenant:NAME", id="owner-without-kind"),
        pytest.param({"owner": "tenant:a|b"}, "tenant:NAME", id="owner-with-a-bar"),
        pytest.param({"owner": "tenant:"}, "tenant:NAME", id="owner-without-name"),
        pytest.param({"thrifty_at": 0.95}, "must not fall", id="rungs-out-of-order"),
        pytest.param({"closed_at": 0}, "closed_at", id="closed-at-nothing"),
        pytest.param({"closed_at": float("nan")}, "closed_at", id="closed-at-nan"),
        pytest.param({"alert_at": (0.5, -1)}, "alert_at", id="negative-alert"),
        pytest.param({"alert_at": (float("inf"),)}, "alert_at", id="endless-alert"),
    ],
)
def test_a_faulty_budget_is_refused_and_the_reason_names_what_to_mend(fields, said):
    with pytest.raises(BudgetError) as caught:
        make_budget({"owner": "fleet", "limit_usd": "1"} | fields, "here")
    assert str(caught.value).startswith("here: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(GOOD + GOOD, "line 4: budget 2: fleet has a budget for the month", id="twice"),
        pytest.param(
            GOOD + '\n[[budget]]\nowner = "tenant:a"\nlimit_usd = 3.5\n', "line 5", id="float"
        ),
        pytest.param(GOOD.replace("limit", "limt"), "line 1: budget 1: ", id="misspelt"),
        pytest.param('[budget]\nowner = "fleet"\n', "[[budget]]", id="one-table"),
        pytest.param('[[budgets]]\nowner = "fleet"\n', "budgets: write each budget", id="plural"),
        pytest.param("budget = 3\n", "[[budget]]", id="number"),
        pytest.param('budget = ["fleet"]\n', "budget 1", id="word"),
        pytest.param("[[budget]\n", "not TOML", id="no-toml"),
    ],
)
def test_a_faulty_file_says_where_it_is_wrong(load, text, said):
    with pytest.raises(BudgetError) as caught:
        load(text)
    assert said in str(caught.value)
    assert "budgets.toml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BudgetError, match=r"none\.toml cannot be read"):
        load_budgets(tmp_path / "none.toml")
