"""``pixfleet doctor``: what works, what does not, and what to do, for people and programs."""

from __future__ import annotations

import json

import pytest

PARTS = {
    *("broker", "storage", "prices", "embedded broker", "faces", "flower", "disk"),
    *("jpeg", "webp", "avif", "jxl", "heic", "png"),
}


@pytest.fixture
def doctor(pixfleet):
    """``pixfleet doctor --json``: (exit code, findings by part)."""

    def ask(*more, **environment):
        done = pixfleet("doctor", "--json", *more, **environment)
        assert done.stdout, done.stderr
        return done.returncode, {row["part"]: row for row in json.loads(done.stdout)}

    return ask


def test_a_fresh_machine_is_well_and_a_missing_broker_is_only_noted(doctor):
    code, rows = doctor()

    assert code == 0
    assert set(rows) == PARTS
    assert rows["broker"]["level"] == "note"
    assert "pixfleet up" in rows["broker"]["mend"]
    ageing = {"broker", "prices"}  # prices grow old, which is noted
    assert all(row["level"] == "ok" for part, row in rows.items() if part not in ageing)
    assert rows["prices"]["level"] in {"ok", "note"}
    assert "c7i.large spot (the book's own, none was found)" in rows["prices"]["found"]
    assert all(row["found"] for row in rows.values())


def test_with_a_running_fleet_it_also_sees_clock_and_workers(doctor, fleet):
    code, rows = doctor("--broker", fleet.url)

    assert code == 0
    assert set(rows) == PARTS | {"clock", "workers"}
    assert {row["level"] for part, row in rows.items() if part != "prices"} == {"ok"}
    assert rows["workers"]["found"] == "1 alive"


def test_a_stopped_broker_is_one_bad_row_and_the_others_are_still_there(doctor):
    code, rows = doctor(PIXFLEET_BROKER="redis://user:hunter2@127.0.0.1:1/0")

    assert code == 1
    assert set(rows) == PARTS
    assert [part for part, row in rows.items() if row["level"] == "bad"] == ["broker"]
    assert "127.0.0.1:1" in rows["broker"]["found"]
    assert "start it" in rows["broker"]["mend"]
    assert "hunter2" not in json.dumps(rows)


@pytest.mark.parametrize(
    ("environment", "part", "said"),
    [
        pytest.param(
            {"PIXFLEET_LIMITS_MAX_PIXELS": "many"},
            *("settings", "PIXFLEET_LIMITS_MAX_PIXELS"),
            id="no-number",
        ),
        pytest.param(
            {"PIXFLEET_VISIBILITY_TIMEOUT_S": "200"},
            *("settings", "PIXFLEET_WORKER_HARD_TIME_LIMIT_S"),
            id="two-that-contradict",
        ),
        pytest.param({"PIXFLEET_BROKER": "nonsense"}, *("broker", "redis://"), id="no-url"),
        pytest.param({"PIXFLEET_PRICES_BOOK": "mars"}, *("prices", "mars"), id="no-price-book"),
        pytest.param(
            {"PIXFLEET_STORE_URL": "/proc/nowhere"}, *("storage", "/proc/nowhere"), id="no-store"
        ),
    ],
)
def test_a_wrong_setting_is_named_beside_what_works(doctor, environment, part, said):
    code, rows = doctor(**environment)

    assert code == 1
    assert [name for name, row in rows.items() if row["level"] == "bad"] == [part]
    assert said in rows[part]["found"]
    assert rows[part]["mend"]
    assert rows["jpeg"]["level"] == "ok"


def test_the_table_fits_a_terminal_of_80_columns_and_cuts_nothing_off(pixfleet, state):
    wide = pixfleet("doctor", COLUMNS="300")
    narrow = pixfleet("doctor", COLUMNS="80")

    assert max(map(len, narrow.stdout.splitlines())) <= 80
    assert "…" not in narrow.stdout
    assert "".join(narrow.stdout.split()) == "".join(wide.stdout.split())
    assert "✓  storage" in narrow.stdout
    assert str(state) in narrow.stdout
