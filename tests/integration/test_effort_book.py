from __future__ import annotations

import pytest
import redis

from pixfleet.workers.imaging.efforts import MEASURED, Effort, Seen
from pixfleet.workers.spend.effort_book import EffortBook

KEY = ("avif", 8)


def effort(book: EffortBook) -> Effort:
    curves = book.curves()
    return Effort(curves.cpu_s_per_mp(*KEY), curves.bytes_share(*KEY))


def test_what_a_fleet_sees_moves_its_curves(valkey_client):
    book = EffortBook(valkey_client)
    before = effort(book)
    assert before == MEASURED[KEY]
    for _ in range(40):
        book.learn([Seen(*KEY, cpu_s_per_mp=3 * before.cpu_s_per_mp, bytes_share=0.5)])
    after = effort(EffortBook(valkey_client))
    # Twenty observations' worth of what was measured beforehand, and forty of the fleet.
    assert after.cpu_s_per_mp == pytest.approx(before.cpu_s_per_mp * (20 + 3 * 40) / 60, rel=1e-4)
    assert after.bytes_share == pytest.approx((before.bytes_share * 20 + 0.5 * 40) / 60, rel=1e-4)


def test_a_new_machine_is_believed_after_some_hundred_images(valkey_client):
    book = EffortBook(valkey_client)
    for cpu_s in [1.0] * 300 + [2.0] * 600:
        book.learn([Seen(*KEY, cpu_s_per_mp=cpu_s, bytes_share=None)])
    assert effort(EffortBook(valkey_client)).cpu_s_per_mp > 1.7


def test_a_process_reads_the_curves_once_and_not_for_every_image(valkey_client):
    book = EffortBook(valkey_client)
    first = book.curves()
    book.learn([Seen(*KEY, cpu_s_per_mp=99.0, bytes_share=None)])
    assert book.curves() is first


def test_without_redis_the_measured_curves_do():
    book = EffortBook(redis.Redis(port=1))
    book.learn([Seen(*KEY, cpu_s_per_mp=1.0, bytes_share=None)])
    assert effort(book) == MEASURED[KEY]
