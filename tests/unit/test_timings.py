"""What a worker knows of its own tasks, and of its own end."""

from __future__ import annotations

import time

from pixfleet.workers.fleet.notice import GIVE_BACK_S, Notices
from pixfleet.workers.fleet.timings import Timings

WEB, THUMBNAIL = ("prepare", "web"), ("prepare", "thumbnail")


def test_nine_of_ten_tasks_took_no_longer_and_kinds_are_kept_apart():
    timings = Timings()
    for seconds in range(1, 11):
        timings.add(WEB, seconds)
    timings.add(THUMBNAIL, 0.1)

    assert timings.p90_s(WEB) == 9
    assert timings.p90_s(THUMBNAIL) == 0.1
    assert timings.p90_s(("encode", "web")) is None


def test_old_times_are_forgotten_and_kinds_are_bounded():
    timings = Timings()
    for seconds in [1_000.0] * 50 + [1.0] * 50:
        timings.add(WEB, seconds)
    assert timings.p90_s(WEB) == 1

    for number in range(1_000):
        timings.add(("prepare", str(number)), 1)
    assert timings.p90_s(WEB) is None
    assert timings.p90_s(("prepare", "999")) == 1


def test_of_several_notices_the_first_says_why_and_the_shortest_counts():
    notices = Notices()
    assert notices.notice is None
    assert not notices.overdue()

    notices.give("spot terminate", 116)
    notices.give("SIGTERM", 10)
    counts = notices.give("drain", 120)

    assert counts.why == "spot terminate"
    assert 9 < counts.deadline_s - time.monotonic() <= 10
    assert not notices.overdue()
    notices.give("drain", -GIVE_BACK_S * 2)  # a notice that came too late still has its grace
    assert not notices.overdue()
    assert notices.notice.deadline_s <= time.monotonic()
