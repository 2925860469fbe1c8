from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from billiard.exceptions import SoftTimeLimitExceeded

from pixfleet.workers.errors import EncodeError, EncoderLostError
from pixfleet.workers.imaging.animation import Frame, encode_animation
from pixfleet.workers.imaging.encode import Encoded, EncodeRequest, encode_variant
from pixfleet.workers.imaging.goal import Goal

PIXELS = np.random.default_rng(5).integers(0, 256, (40, 60, 3), np.uint8)
FRAMES = [Frame(PIXELS, 100), Frame(np.ascontiguousarray(PIXELS[::-1]), 100)]
EACH = EncodeRequest(("avif", "webp", "jpeg"), "each", 60.0)
PX = PIXELS.size // 3
REFUSAL = EncoderLostError("encoder_timeout", "it hung before", "ask for another format")


def breaking(*formats: str, error: BaseException):
    """A watch under which these formats raise."""

    @contextmanager
    def watch(name: str):
        if name in formats:
            raise error
        yield

    return watch


def still(request: EncodeRequest):
    return encode_variant(PIXELS, request)


def moving(request: EncodeRequest):
    return encode_animation(FRAMES, 0, request)


kinds = pytest.mark.parametrize("encode", [still, moving], ids=["still", "moving"])


@kinds
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (REFUSAL, "encoder_timeout"),
        (EncodeError("refused", "no", "yes"), "refused"),
        (MemoryError(), "encoder_out_of_memory"),
        (SystemError("error return without exception set"), "encoder_failed"),
        (KeyError("quality"), "encoder_failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_an_error_in_one_format_leaves_the_others_alone(encode, error, code):
    lost, *made = encode(replace(EACH, watch=breaking("avif", error=error)))

    assert (lost.format, lost.error.code) == ("avif", code)
    assert [result.format for result in made] == ["webp", "jpeg"]
    assert all(isinstance(result, Encoded) for result in made)


@kinds
def test_time_that_is_up_for_the_job_is_no_fault_of_an_encoder(encode):
    with pytest.raises(SoftTimeLimitExceeded):
        encode(replace(EACH, watch=breaking("webp", error=SoftTimeLimitExceeded())))


@kinds
def test_the_next_candidate_stands_in_and_says_for_whom(encode):
    request = replace(EACH, pick="best", watch=breaking("avif", "webp", error=REFUSAL))

    (best,) = encode(request)

    assert best.format == "jpeg"
    assert [failure.format for failure in best.passed_over] == ["avif", "webp"]
    assert "it hung before" in str((best.notes, best.considered))


@kinds
def test_where_every_candidate_is_lost_the_answer_says_so(encode):
    request = replace(EACH, pick="best", watch=breaking(*EACH.formats, error=REFUSAL))

    (failure,) = encode(request)

    assert failure.error is REFUSAL


def test_a_candidate_that_can_never_be_made_is_no_loss():
    wide = np.zeros((2, 17_000, 3), np.uint8)

    (best,) = encode_variant(wide, EncodeRequest(("webp", "png"), "best", 60.0))

    assert best.format == "png"
    assert not best.passed_over


def test_an_encoder_that_would_take_too_much_memory_is_refused_beforehand():
    avif, webp, jpeg = still(replace(EACH, max_encoder_bytes=30 * PX))

    assert avif.error.code == "encoder_memory_limit"
    assert "PIXFLEET_LIMITS_MAX_ENCODER_BYTES" in avif.error.hint
    assert isinstance(webp, Encoded)
    assert isinstance(jpeg, Encoded)


def test_an_effort_that_would_take_too_much_memory_leaves_the_format_to_the_others():
    goal = Goal(cpu_s_weight=0.0, byte_weight=1.0, max_cpu_s_per_mp=1e6)
    request = EncodeRequest(("jxl",), "each", 80.0, goal=goal, max_encoder_bytes=100 * PX)

    (made,) = still(request)

    assert isinstance(made, Encoded)
    assert [one.effort for one in made.considered if one.verdict == "failed"] == [8]
    assert not made.passed_over
