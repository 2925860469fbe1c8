from __future__ import annotations

import os
import signal
import time

import pytest
import redis

from pixfleet.config import keys
from pixfleet.config.worker_settings import WorkerSettings
from pixfleet.workers.errors import DecoderLostError, EncoderLostError
from pixfleet.workers.fleet.owner import owner_name
from pixfleet.workers.fleet.trials import Trials, bury

JOB = "job-1"


@pytest.fixture
def client(valkey):
    with redis.Redis.from_url(valkey.redis_url) as connected:
        yield connected


def trials(client, **settings) -> Trials:
    return Trials(client, JOB, WorkerSettings(**settings))


def interrupted(client, variant: str = "w", image_format: str = "avif", px: int = 100, **settings):
    """A process that is killed in the middle of an attempt; the answer is its name."""
    return killed_in(lambda: trials(client, **settings).attempt(variant, image_format, px))


def killed_in(act) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with act():
            os.write(writer, owner_name().encode())
            time.sleep(60)
        os._exit(0)
    owner = os.read(reader, 100).decode()
    os.close(reader)
    os.close(writer)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return owner


def tried(client, variant: str = "w", image_format: str = "avif", px: int = 100) -> str:
    """How the next run's attempt goes: "made", or the code of its refusal."""
    try:
        with trials(client).attempt(variant, image_format, px):
            return "made"
    except EncoderLostError as error:
        return error.code


def test_an_attempt_that_ends_leaves_nothing_behind(client):
    with trials(client).attempt("w", "avif", 100):
        assert client.exists(keys.TRIALS + JOB)
    with pytest.raises(ValueError, match="a codec's"), trials(client).attempt("w", "avif", 100):
        raise ValueError("a codec's")

    assert not client.exists(keys.TRIALS + JOB)


def test_a_format_whose_process_died_once_is_tried_again_and_after_twice_passed_over(client):
    for expected in ("made", "encoder_crashed"):
        bury(client, JOB, interrupted(client))
        assert tried(client) == expected


def test_machines_that_vanish_count_like_processes_that_die(client):
    interrupted(client)
    assert tried(client) == "made"
    interrupted(client)
    assert tried(client) == "encoder_crashed"


def test_one_process_past_its_time_limit_is_enough(client):
    owner = interrupted(client, encode_time_limit_s=1, encode_time_limit_s_per_mp=0)
    time.sleep(1.1)
    bury(client, JOB, owner)

    assert tried(client) == "encoder_timeout"


def test_a_process_that_a_signal_ended_is_no_overrun_however_late_that_is_seen(client):
    owner = interrupted(client, encode_time_limit_s=1, encode_time_limit_s_per_mp=0)
    time.sleep(1.1)
    bury(client, JOB, owner, signalled=True)

    assert tried(client) == "made"


def test_a_killed_process_is_no_overrun_however_late_the_job_runs_again(client):
    interrupted(client, encode_time_limit_s=1, encode_time_limit_s_per_mp=0)
    time.sleep(1.1)

    assert tried(client) == "made"


def test_another_format_and_a_smaller_size_are_still_tried(client):
    for _ in range(2):
        bury(client, JOB, interrupted(client, px=100))

    assert tried(client, px=99) == "made"
    assert tried(client, "larger", px=400) == "encoder_crashed"
    assert tried(client, image_format="jpeg") == "made"


def test_the_end_of_one_process_says_nothing_of_anothers_attempt(client):
    owner = interrupted(client)
    with trials(client).attempt("other", "jpeg", 100):
        bury(client, JOB, owner)
        assert client.hget(keys.TRIALS + JOB, "deaths:jpeg") is None

    assert tried(client, "other", "jpeg") == "made"


def test_a_format_is_made_even_if_no_record_can_be_kept():
    gone = redis.Redis.from_url("redis://127.0.0.1:1/0")

    assert tried(gone) == "made"


def decoding(client, **settings) -> str:
    """How the next run's decode goes: "made", or the code of its refusal."""
    try:
        with trials(client, **settings).step("decode", "a.png", 100):
            return "made"
    except DecoderLostError as error:
        return error.code


def killed_in_decode(client, **settings) -> str:
    return killed_in(lambda: trials(client, **settings).step("decode", "a.png", 100))


def test_a_decode_past_its_limit_or_twice_fatal_is_refused_by_name(client):
    owner = killed_in_decode(client, decode_time_limit_s=1, decode_time_limit_s_per_mp=0)
    time.sleep(1.1)
    bury(client, JOB, owner)
    assert decoding(client) == "decode_time_limit"

    client.flushall()
    for expected in ("made", "decode_crashed"):
        bury(client, JOB, killed_in_decode(client), signalled=True)
        assert decoding(client) == expected


def test_with_few_attempts_one_death_is_enough_so_that_a_run_is_left_to_say_why(client):
    bury(client, JOB, killed_in_decode(client, max_attempts=2), signalled=True)

    assert decoding(client, max_attempts=2) == "decode_crashed"


def test_what_ends_a_decode_says_nothing_of_the_encoders(client):
    for _ in range(2):
        bury(client, JOB, killed_in_decode(client), signalled=True)

    assert tried(client) == "made"
