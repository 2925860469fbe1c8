from __future__ import annotations

import datetime as dt

import pytest

from pixfleet.workers.spend.book import Entry
from pixfleet.workers.spend.statement import make_statement

HOUR = dt.datetime(2026, 11, 25, 8, tzinfo=dt.UTC)


def entry(owner: str, line: str, amount: int, bucket: str = "2026-11-25T08") -> Entry:
    tenant, _, recipe = owner.partition("/")
    return Entry(HOUR, bucket, tenant, recipe, line, amount)


ENTRIES = [
    entry("", "capacity", 10_000),
    entry("", "tree", 7_000),
    entry("", "sqs_request", 40),
    entry("shop/web", "encode", 3_000),
    entry("shop/web", "fetch", 500),
    entry("shop/web", "s3_put", 200),
    entry("shop/web", "#machine_nano", 3_500),
    entry("shop/web", "rework", 900),
    entry("shop/web", "#images", 4),
    entry("shop/thumbnail", "encode", 600),
    entry("shop/thumbnail", "#machine_nano", 600),
    entry("shop/thumbnail", "#images", 6),
    entry("press/web", "encode", 700),
    entry("press/web", "#machine_nano", 700),
    entry("press/web", "retry", 100),
    entry("press/web", "#images", 1),
    entry("press/web", "#saved_nano_usd", 77),
]


def test_the_lines_of_the_machines_add_up_to_their_time_and_with_requests_to_the_bill():
    bill = make_statement(ENTRIES).bill

    assert (bill.jobs, bill.rework, bill.retry) == (4_800, 900, 100)
    assert bill.overhead == 7_000 - 4_800 - 900 - 100
    assert bill.idle == 3_000
    assert bill.machines == 10_000
    assert bill.requests == 240
    assert bill.total == 10_240
    assert bill.utilisation == pytest.approx(0.7)


def test_what_is_charged_before_the_worker_has_said_its_cpu_is_overhead_below_zero():
    bill = make_statement(
        [
            entry("", "capacity", 100),
            entry("", "tree", 20),
            entry("shop/web", "encode", 50),
            entry("shop/web", "#machine_nano", 50),
        ]
    ).bill

    assert (bill.jobs, bill.overhead, bill.idle, bill.machines) == (50, -30, 80, 100)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("tenant", [("shop", 5_200, 10), ("press", 800, 1), ("(fleet)", 40, 0)]),
        ("recipe", [("web", 5_400, 5), ("thumbnail", 600, 6), ("(fleet)", 40, 0)]),
        (
            "line",
            [
                ("encode", 4_300, 0),
                ("rework", 900, 0),
                ("fetch", 500, 0),
                ("s3_put", 200, 0),
                ("retry", 100, 0),
                ("sqs_request", 40, 0),
            ],
        ),
    ],
)
def test_shares_come_in_the_order_of_cost_and_sum_to_all_that_somebody_caused(by, expected):
    statement = make_statement(ENTRIES, by)

    assert [(s.name, s.nano_usd, s.counts["images"]) for s in statement.shares] == expected
    bill = statement.bill
    assert sum(s.nano_usd for s in statement.shares) == bill.total - bill.overhead - bill.idle
    assert statement.counts["images"] == 11


def test_the_shares_of_times_have_idle_time_in_them_and_sum_to_the_bill():
    later = [
        Entry(HOUR + dt.timedelta(hours=1), "2026-11-25T09", "", "", line, amount)
        for line, amount in (("capacity", 500), ("tree", 100))
    ]

    statement = make_statement([*later, *ENTRIES], "hour")

    assert [(s.name, s.nano_usd, s.unused_nano_usd) for s in statement.shares] == [
        ("2026-11-25T08", 10_240, 4_200),
        ("2026-11-25T09", 500, 500),
    ]
    assert sum(s.nano_usd for s in statement.shares) == statement.bill.total
    (day,) = make_statement([*later, *ENTRIES], "day").shares
    assert (day.name, day.nano_usd) == ("2026-11-25", 10_740)


def test_a_day_that_has_no_hours_any_more_is_a_time_of_its_own_among_hours():
    day = entry("shop/web", "encode", 5, bucket="2026-10-01")
    hour = entry("shop/web", "encode", 7, bucket="2026-10-01T23")

    assert [s.name for s in make_statement([hour, day], "hour").shares] == [
        "2026-10-01",
        "2026-10-01T23",
    ]
    assert [(s.name, s.nano_usd) for s in make_statement([hour, day], "day").shares] == [
        ("2026-10-01", 12)
    ]


def test_the_statement_of_a_tenant_is_what_it_caused_without_idle_time():
    statement = make_statement(ENTRIES, "recipe", tenant="shop")

    bill = statement.bill
    assert (bill.jobs, bill.rework, bill.overhead, bill.idle) == (4_100, 900, 0, 0)
    assert bill.total == 5_200
    assert [s.name for s in statement.shares] == ["web", "thumbnail"]
    assert make_statement(ENTRIES, tenant="press", recipe="web").counts["saved_nano_usd"] == 77
    (hour,) = make_statement(ENTRIES, "hour", tenant="shop").shares
    assert (hour.nano_usd, hour.unused_nano_usd) == (5_200, 0)


def test_the_bill_of_nothing_is_nothing():
    statement = make_statement([])

    assert (statement.bill.total, statement.bill.utilisation, statement.shares) == (0, 0.0, ())
