"""Advice on records whose right answer is known by arithmetic."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from pixfleet.config.prices import PriceBook, load_prices
from pixfleet.workers.spend.advice.advice import dollars
from pixfleet.workers.spend.advice.machines import concurrency, machine
from pixfleet.workers.spend.advice.memo import memo
from pixfleet.workers.spend.advice.offers import (
    Demand,
    children_for,
    demand_of,
    measured_speeds,
    offers,
)
from pixfleet.workers.spend.advice.recipes import dearest_stage, effort, features, floors, formats
from pixfleet.workers.spend.advice.record import (
    MONTH_DAYS,
    HigherEffort,
    Hour,
    Made,
    Ran,
    Record,
    Remembered,
    Tried,
    Work,
)
from pixfleet.workers.spend.advice.rules import advise
from pixfleet.workers.spend.advice.terms import idle, reservation, spot
from pixfleet.workers.spend.advice.traffic import failures, overhead, requests

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
DAYS = 20
MONTHS = MONTH_DAYS / DAYS
SEEN = {"date": dt.date(2026, 11, 1), "source": "a test"}


def price(usd: str, unit: str = "hour") -> dict:
    return {"usd": usd, "unit": unit, **SEEN}


def instance(memory_gb: float, **terms: str) -> dict:
    return {"vcpus": 2, "memory_gb": memory_gb} | {name: price(usd) for name, usd in terms.items()}


def book(**instances: dict) -> PriceBook:
    known = {"a.large": instance(4, on_demand="0.10", spot="0.04")} | instances
    return PriceBook.model_validate(
        {
            "name": "test",
            "currency": "USD",
            "date": dt.date(2026, 11, 1),
            "instance": "a.large",
            "instances": {name.replace("_", "."): kind for name, kind in known.items()},
            "requests": {"s3_put": price("0.005", "1000 requests")},
            "storage_gb_month": price("0.02", "gb-month"),
            "egress_gb": price("0.09", "gb"),
        }
    )


def hours(machine: str = "a.large spot", machines=lambda _: 1.0, busy: float = 1.0, days=DAYS):
    """Every hour of the last days; ``machines`` says how many run in the n-th."""
    first = NOW - dt.timedelta(days=days)
    return tuple(
        Hour(
            first + dt.timedelta(hours=place),
            {machine: Ran(vcpu_s, vcpu_s, vcpu_s * busy)},
            jobs_s=vcpu_s * busy,
        )
        for place in range(days * 24)
        for vcpu_s in [machines(place) * 2 * 3_600]
        if vcpu_s
    )


def work(images: int = 1000, recipe: str = "web", **fields) -> Work:
    counts = {
        "images": images,
        "variants": images,
        "cpu_ms": 1000 * images,
        "wall_ms": 1000 * images,
    }
    given = {
        "stages": {"encode": Decimal(8), "decode": Decimal(2)},
        "requests": {},
        "rework_usd": Decimal(0),
        "retry_usd": Decimal(0),
    } | fields
    given["counts"] = counts | given.get("counts", {})
    return Work(recipe=recipe, **given)


def made(images: int = 1000, **fields) -> Made:
    given = {"recipe": "web", "machine": "a.large", "pixels": images * 10**6}
    given |= {"cpu_s": float(images), "peak_bytes": 900_000_000, "images": images}
    return Made(**(given | fields))


def record(**fields) -> Record:
    given = {
        "since": NOW - dt.timedelta(days=DAYS),
        "until": NOW,
        "book": book(),
        "works": (work(),),
        "fleet": {"capacity": Decimal("19.20")},  # 480 h of a machine at 0.04
        "hours": hours(),
        "made": (made(),),
    } | fields
    return Record(**({"past": given["hours"]} | given))


def only(advice):
    (one,) = advice
    return one


def test_the_cheapest_kind_on_the_present_terms_is_advised_by_what_it_saves():
    kinds = book(
        b_large=instance(4, on_demand="0.02", spot="0.03"),  # dearer on spot than on demand
        c_large=instance(4, on_demand="0.01"),  # not on spot
    )
    found = only(machine(record(book=kinds)))
    assert (found.topic, found.verdict) == ("machine", "gain")
    assert "b.large spot" in found.what
    assert found.saves_usd == pytest.approx(Decimal("19.20") * MONTHS / 4)
    assert any("if it is 75% as fast" in line for line in found.evidence)


def test_a_measured_speed_decides_against_a_lower_price():
    kinds = book(b_large=instance(4, on_demand="0.10", spot="0.03"))
    slow = made(500, machine="b.large", cpu_s=1000.0)  # twice the CPU for the same pixels
    found = only(machine(record(book=kinds, made=(made(), slow))))
    assert found.verdict == "fine"
    assert "a.large spot is the cheapest" in found.what


def test_a_measured_speed_decides_for_a_higher_price():
    kinds = book(b_large=instance(4, on_demand="0.10", spot="0.05"))
    fast = made(500, machine="b.large", cpu_s=250.0)
    found = only(machine(record(book=kinds, made=(made(), fast))))
    assert "2.00 times as fast" in " ".join(found.evidence)
    # 1,000 images: 0.05 / 2 instead of 0.04
    assert found.saves_usd == pytest.approx(Decimal("19.20") * MONTHS * Decimal("0.375"))


def test_images_of_another_size_do_not_measure_a_speed():
    small = made(500, machine="b.large", cpu_s=1000.0, pixels=500 * 10**5)
    assert measured_speeds(record(made=(made(), small))) == {"a.large": 1.0}


def test_a_machine_whose_memory_holds_one_child_costs_twice_as_much():
    kinds = book(b_large=instance(1.5, on_demand="0.10", spot="0.04"))
    rows = {offer.machine: offer for offer in offers(*_with_demand(record(book=kinds)))}
    assert (rows["a.large spot"].children, rows["b.large spot"].children) == (2, 1)
    ratio = rows["b.large spot"].thousand_usd / rows["a.large spot"].thousand_usd
    assert ratio == pytest.approx(2)


def test_a_machine_without_room_for_a_child_is_the_last_and_never_advised():
    kinds = book(b_large=instance(0.5, on_demand="0.01", spot="0.01"))
    asked = record(book=kinds)
    assert offers(*_with_demand(asked))[-1].instance == "b.large"
    assert "a.large spot is the cheapest" in only(machine(asked)).what


def test_what_1000_images_cost_is_hours_times_price():
    rows = {offer.machine: offer for offer in offers(*_with_demand(record(hours=hours(days=1))))}
    # 48 core hours of CPU for 1,000 images; the machine has two vCPUs
    assert rows["a.large on_demand"].thousand_usd == pytest.approx(Decimal("2.40"))
    assert rows["a.large on_demand"].speed == 1
    assert rows["a.large on_demand"].images_per_hour == pytest.approx(1000 / 24)


def test_rework_makes_spot_dearer_in_the_comparison():
    calm, stormy = record(), record(works=(work(rework_usd=Decimal(5)),))
    usd = [
        next(o.thousand_usd for o in offers(*_with_demand(one)) if o.machine == "a.large spot")
        for one in (calm, stormy)
    ]
    assert usd[1] / usd[0] == pytest.approx(Decimal("1.5"))


def test_serverless_is_compared_with_the_memory_it_would_need():
    aws = load_prices("aws-us-east-1")
    big = made(peak_bytes=3_600_000_000)
    usd = {
        kind.peak_bytes: next(
            offer.thousand_usd
            for offer in offers(*_with_demand(record(book=aws, made=(kind,), hours=hours(days=1))))
            if offer.machine == "fargate-x86"
        )
        for kind in (made(), big)
    }
    per_core_hour = [Decimal("0.04048") + gb * Decimal("0.004445") for gb in (2, 4)]
    assert list(usd.values()) == [pytest.approx(48 * usd_h) for usd_h in per_core_hour]


def test_a_machine_that_the_book_lacks_is_not_compared():
    found = only(machine(record(hours=hours("z.large spot"))))
    assert (found.verdict, found.saves_usd) == ("unknown", 0)


@pytest.mark.parametrize("rule", [machine, concurrency], ids=lambda rule: rule.__name__)
def test_too_few_images_say_how_many_more_it_takes(rule):
    found = only(rule(record(made=(made(7),))))
    assert found.verdict == "unknown"
    assert "23 more images" in found.what


RULES = [dearest_stage, memo, requests, overhead, failures]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_too_few_jobs_say_how_many_more_it_takes(rule):
    found = only(rule(record(works=(work(29),))))
    assert found.verdict == "unknown"
    assert "1 more image " in found.what


def test_jobs_that_wait_want_more_children_and_save_the_time_of_waiting():
    waits = {"wall_ms": 2_000_000, "cpu_ms": 1_000_000}
    ran = hours(machines=lambda place: 1000 / 3_600 if place == 0 else 0)
    found = only(
        concurrency(record(works=(work(counts=waits),), hours=ran, fleet={"capacity": Decimal(2)}))
    )
    # Two children on two vCPUs compute half the time; four do not wait, in half of the hours.
    assert "4 children on 2 vCPUs" in found.what
    assert found.saves_usd == pytest.approx(2 * MONTHS / 2)
    assert found.change.startswith("PIXFLEET_WORKER_CONCURRENCY=4")


def test_jobs_that_compute_all_the_time_want_no_more_children():
    assert only(concurrency(record())).verdict == "fine"


@pytest.mark.parametrize(
    ("vcpus", "memory_gb", "busy", "children"),
    [(2, 4.0, 1.0, 2), (2, 4.0, 0.97, 2), (2, 16.0, 0.5, 4), (2, 4.0, 0.25, 3), (4, 0.9, 1.0, 0)],
    ids=["as-vcpus", "almost-busy", "half-waiting", "memory-bound", "no-room"],
)
def test_children_fill_the_cores_as_far_as_memory_goes(vcpus, memory_gb, busy, children):
    assert children_for(vcpus, memory_gb, Demand(1.0, busy, 1.0)) == children


def test_spot_is_well_while_rework_is_below_what_it_spares():
    found = only(spot(record(works=(work(rework_usd=Decimal(1)),), totals={"interruptions": 3})))
    assert found.verdict == "fine"
    assert "below 150%" in " ".join(found.evidence)
    assert "10%" in " ".join(found.evidence)
    # On demand the work alone, 1 / 1.1 of the time, would cost 2.5 times as much.
    saves = Decimal("19.20") * MONTHS * (Decimal("1.5") - Decimal("0.1")) / Decimal("1.1")
    assert dollars(saves) in found.what


def test_spot_that_loses_more_than_it_spares_is_given_up():
    found = only(spot(record(works=(work(rework_usd=Decimal(20)),))))
    assert (found.verdict, "on demand" in found.what) == ("gain", True)
    # 3 times the work at 0.04 against once at 0.10: a sixth less
    assert found.saves_usd == pytest.approx(Decimal("19.20") * MONTHS / 6)


def test_on_demand_is_advised_to_go_to_spot():
    found = only(spot(record(hours=hours("a.large on_demand"), fleet={"capacity": Decimal(48)})))
    assert found.verdict == "gain"
    assert found.at_most
    assert found.saves_usd == pytest.approx(48 * MONTHS * Decimal("0.6"))


def test_a_book_with_one_price_has_nothing_to_compare():
    own = book(a_large=instance(4, on_demand="0.10"))
    assert only(spot(record(book=own))).verdict == "unknown"
    same = book(a_large=instance(4, on_demand="0.10", spot="0.10"))
    assert only(spot(record(book=same))).verdict == "fine"


RESERVED = book(a_large=instance(4, on_demand="0.10", spot="0.04", reserved_1y="0.03"))
ON_DEMAND = "a.large on_demand"


def test_machines_that_run_most_hours_are_reserved_and_the_others_are_not():
    def two_always_one_by_day(place: int) -> float:
        return 3.0 if place % 24 < 6 else 2.0

    found = only(reservation(record(book=RESERVED, hours=hours(ON_DEMAND, two_always_one_by_day))))
    assert "reserve 2 machines of a.large" in found.what
    assert "runs 30% of the hours" in " ".join(found.evidence)
    assert found.saves_usd == pytest.approx(
        2 * (Decimal("0.10") - Decimal("0.03")) * MONTH_DAYS * 24
    )


def test_a_machine_below_the_break_even_share_is_not_reserved():
    found = only(
        reservation(record(book=RESERVED, hours=hours(ON_DEMAND, lambda place: place % 4 == 0)))
    )
    assert found.verdict == "fine"
    assert "25% of the hours" in " ".join(found.evidence)


def test_without_a_reserved_price_it_is_said_up_to_which_it_would_pay():
    found = only(reservation(record(hours=hours(ON_DEMAND, lambda place: place % 2 == 0))))
    assert found.verdict == "unknown"
    assert "$0.050 an hour" in found.what


def test_a_few_days_do_not_tell_of_a_year():
    found = only(reservation(record(book=RESERVED, hours=hours(ON_DEMAND, days=5))))
    assert (found.verdict, "9 more days" in found.what) == ("unknown", True)


def test_hours_without_work_are_idle_and_busy_ones_are_not():
    night = 0.0

    def hour(place: int) -> Hour:
        working = place % 24 < 12
        used = 7_200.0 * 0.8 if working else night
        start = NOW - dt.timedelta(days=DAYS) + dt.timedelta(hours=place)
        return Hour(start, {"a.large spot": Ran(7_200, 7_200, used)}, jobs_s=used)

    found = only(idle(record(hours=tuple(hour(place) for place in range(DAYS * 24)))))
    assert found.saves_usd == pytest.approx(Decimal("19.20") * MONTHS / 2)
    assert "40% of the time" in " ".join(found.evidence)
    assert "00–01 100%" in " ".join(found.evidence)


def test_a_busy_fleet_has_no_idle_time_to_save():
    assert only(idle(record(hours=hours(busy=0.9)))).verdict == "fine"


def test_a_few_minutes_do_not_tell_what_is_idle():
    found = only(idle(record(hours=hours(machines=lambda place: 0.25 if place == 0 else 0))))
    assert (found.verdict, "30 more minutes" in found.what) == ("unknown", True)


def test_the_dearest_stage_of_the_dearest_recipe_is_looked_at_first():
    small = work(recipe="small", stages={"encode": Decimal(1), "decode": Decimal(5)})
    found = only(dearest_stage(record(works=(work(), small))))
    assert "encode of web: 50%" in found.what
    assert f"{dollars(8 * MONTHS)} a month" in found.evidence[0]


def test_features_that_cost_are_named_and_those_that_do_not_are_not():
    dear = work(stages={"encode": Decimal(8), "features": Decimal(2)})
    found = only(features(record(works=(dear,))))
    assert (found.verdict, found.at_most) == ("gain", True)
    assert found.saves_usd == pytest.approx(2 * MONTHS)
    cheap = work(stages={"encode": Decimal(8), "features": Decimal("0.001")})
    assert only(features(record(works=(cheap,)))).verdict == "fine"
    assert not list(features(record(works=(work(29, stages=dear.stages),))))


CORE_SECOND = Decimal("0.04") / 7_200


@pytest.mark.parametrize(
    ("spared", "verdict"), [("1", "gain"), ("7", "fine")], ids=["spares-less", "spares-more"]
)
def test_higher_efforts_are_kept_only_where_they_spare_more_than_they_cost(spared, verdict):
    seen = HigherEffort("web", float(6 / CORE_SECOND), Decimal(spared))
    found = only(effort(record(higher_effort=(seen,))))
    assert found.verdict == verdict
    if verdict == "gain":
        assert found.saves_usd == pytest.approx(5 * MONTHS)
    assert not list(effort(record(higher_effort=(seen,), made=(made(29),))))


def test_a_format_that_never_wins_is_taken_out_by_what_its_searches_cost():
    lost_s = float(2 / CORE_SECOND)
    rare = Tried("web", "png", files=1, cpu_s=lost_s, lost_s=lost_s)
    usual = Tried("web", "avif", files=999, cpu_s=lost_s, lost_s=100.0)
    found = only(formats(record(tried=(rare, usual))))
    assert "png" in found.what
    assert found.saves_usd == pytest.approx(2 * MONTHS)
    assert not list(formats(record(tried=(rare, usual), made=(made(29),))))


def test_two_floors_are_judged_by_what_they_spare():
    def spares(nano: int) -> Work:
        return work(counts={"adaptive_bytes": 10**6, "adaptive_nano_usd": nano})

    assert only(floors(record(works=(spares(5 * 10**9),)))).verdict == "fine"
    found = only(floors(record(works=(spares(10**9),))))
    assert (found.verdict, found.saves_usd) == ("gain", pytest.approx(3 * MONTHS))
    assert not list(floors(record()))


KEPT = Remembered(hits=10, misses=90, bytes=5 * 10**9, max_bytes=10**10, billed=True)


def remembering(saved_usd: int, stage_usd: str = "0.5") -> Work:
    counts = {"saved_nano_usd": saved_usd * 10**9, "memo_hits": 10}
    return work(stages={"encode": Decimal(8), "memo": Decimal(stage_usd)}, counts=counts)


def test_a_memo_is_worth_what_it_saves_less_its_stage_and_its_files():
    found = only(memo(record(works=(remembering(3),), memo=KEPT)))
    assert found.verdict == "fine"
    # 5 GB at 0.02
    assert dollars(Decimal("2.5") * MONTHS - Decimal("0.1")) in found.what
    assert "10% of 100 look-ups" in " ".join(found.evidence)


def test_a_memo_that_saves_less_than_it_costs_is_switched_off():
    found = only(memo(record(works=(remembering(0, "2"),), memo=KEPT)))
    assert found.verdict == "gain"
    assert found.saves_usd == pytest.approx(2 * MONTHS + Decimal("0.1"))
    assert found.change == "PIXFLEET_MEMO_ENABLED=false"


def test_files_of_the_memo_in_a_folder_cost_nothing():
    folder = Remembered(10, 90, 5 * 10**9, 10**10, billed=False)
    assert (
        dollars(Decimal("2.5") * MONTHS)
        in only(memo(record(works=(remembering(3),), memo=folder))).what
    )


def test_a_full_memo_is_told_of_and_one_that_was_off_too():
    full = Remembered(10, 90, 95 * 10**8, 10**10, billed=True)
    assert [one.topic for one in memo(record(works=(remembering(3),), memo=full))] == ["memo"] * 2
    assert "was off" in only(memo(record(memo=KEPT))).what


def test_files_of_which_each_is_a_request_are_weighed_against_cpu():
    many = work(requests={"s3_put": Decimal(5)}, counts={"variants": 10_000})
    found = only(requests(record(works=(many,))))
    assert found.saves_usd == pytest.approx(5 * Decimal("0.9") * MONTHS)
    assert only(requests(record())).verdict == "fine"


def test_a_queue_on_sqs_is_advised_against_where_it_costs():
    fleet = {"capacity": Decimal("19.20"), "sqs_request": Decimal(3)}
    _, queue = requests(record(fleet=fleet))
    assert (queue.topic, queue.verdict) == ("queue", "gain")
    assert queue.saves_usd == pytest.approx(3 * MONTHS)


def test_workers_that_compute_for_themselves_are_noticed():
    ran = hours(machines=lambda place: 2_000 / 7_200 if place == 0 else 0)
    worked = work(stages={"encode": 1_000 * CORE_SECOND})
    found = only(overhead(record(works=(worked,), hours=ran, fleet={"capacity": Decimal("0.01")})))
    # 2,000 s of CPU, 1,000 s in jobs; a fifth of the CPU is as it should be
    assert found.saves_usd == pytest.approx(600 * CORE_SECOND * MONTHS)
    calm = hours(machines=lambda place: 1_100 / 7_200 if place == 0 else 0)
    assert only(overhead(record(hours=calm))).verdict == "fine"


def test_what_failures_and_retries_cost_is_said():
    bad = work(retry_usd=Decimal(1), counts={"failed": 100, "failed_nano": 2 * 10**9})
    found = only(failures(record(works=(bad,))))
    assert found.saves_usd == pytest.approx(3 * MONTHS)
    assert only(failures(record())).verdict == "fine"


def test_what_saves_most_comes_first_and_what_is_not_known_last():
    dear = work(stages={"encode": Decimal(8), "features": Decimal(6)})
    kinds = book(b_large=instance(4, on_demand="0.10", spot="0.03"))
    given = advise(record(book=kinds, works=(dear,)))
    verdicts = [one.verdict for one in given]
    assert verdicts == sorted(verdicts, key=("gain", "fine", "unknown").index)
    gains = [one.saves_usd for one in given if one.verdict == "gain"]
    assert len(gains) >= 2
    assert gains == sorted(gains, reverse=True)


def test_an_empty_record_advises_nothing():
    empty = Record(NOW, NOW, book())
    assert {one.verdict for one in advise(empty)} == {"unknown"}
    assert demand_of(empty) is None


@pytest.mark.parametrize(
    ("usd", "shown"),
    [("0", "$0.00"), ("0.000034", "$0.000034"), ("0.5", "$0.50"), ("1234.5", "$1,234.50")],
)
def test_amounts_show_two_digits_of_what_is_small(usd, shown):
    assert dollars(Decimal(usd)) == shown


def _with_demand(of: Record) -> tuple[Record, Demand]:
    demand = demand_of(of)
    assert demand
    return of, demand
