from __future__ import annotations

from pixfleet.producer.backoff import JitteredBackoff


def test_pauses_double_up_to_the_most_and_never_overflow():
    backoff = JitteredBackoff(0.5, 15)

    for failures, whole_s in ((1, 0.5), (2, 1), (3, 2), (5, 8), (6, 15), (100_000, 15)):
        pauses = [backoff.compute(failures) for _ in range(200)]
        assert whole_s / 2 <= min(pauses) < max(pauses) <= whole_s


def test_those_who_lost_a_server_together_do_not_come_back_together():
    pauses = sorted(JitteredBackoff(0.5, 15).compute(6) for _ in range(1000))

    busiest = max(sum(start <= pause < start + 0.1 for pause in pauses) for start in pauses)
    assert busiest < 60  # of a thousand, in any tenth of a second; all of them without jitter
