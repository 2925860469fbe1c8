"""A fleet whose AVIF encoder hangs, dies or raises on pictures of certain widths."""

from __future__ import annotations

import time

import pytest
from PIL import Image

from pixfleet.producer import ImageJob, Recipe, VariantSpec
from tests.e2e.broken import DIES_PX, HANGS_PX, RAISES_PX, RUNS_OUT_PX, breaking_fleet
from tests.hostile import photo

LIMIT_S = 5


@pytest.fixture(scope="module")
def fleet():
    with breaking_fleet(
        PIXFLEET_WORKER_ENCODE_TIME_LIMIT_S=str(LIMIT_S),
        PIXFLEET_WORKER_ENCODE_TIME_LIMIT_S_PER_MP="1",
    ) as running:
        yield running


@pytest.fixture
def submit(fleet, tmp_path):
    """Submit one noisy picture; the answer is the handle."""
    source = tmp_path / "picture.png"
    source.write_bytes(photo("PNG", (200, 150)))

    def submitted(*variants: VariantSpec, out: str = "out", **options):
        recipe = Recipe(name="broken", quality=60, variants=variants, **options)
        return fleet.producer.submit(
            ImageJob(source=str(source), output=str(tmp_path / out), recipe=recipe)
        )

    return submitted


def cut(width: int, *formats: str, pick: str = "each") -> VariantSpec:
    return VariantSpec(name=f"w{width}", width=width, formats=formats, pick=pick)


def made(manifest) -> list[tuple[str, str]]:
    return [(variant.name, variant.format) for variant in manifest.variants]


def test_an_encoder_that_hangs_costs_its_format_and_nothing_else(fleet, submit, tmp_path):
    wanted = [cut(60, "avif"), cut(HANGS_PX, "jpeg", "avif", "webp"), cut(120, "avif", "jpeg")]
    start_s = time.monotonic()

    manifest = submit(*wanted).result(60)

    assert manifest.status == "partial"
    assert manifest.attempts == 2
    assert LIMIT_S <= time.monotonic() - start_s < 4 * LIMIT_S
    assert made(manifest) == [
        *(("w60", "avif"), (f"w{HANGS_PX}", "jpeg"), (f"w{HANGS_PX}", "webp"), ("w120", "jpeg"))
    ]
    for variant in manifest.variants:
        with Image.open(tmp_path / "out" / variant.path) as image:
            assert image.width == variant.width
    # What hung is not waited for again at a larger size.
    assert [(failure.code, failure.variant) for failure in manifest.failures] == [
        ("encoder_timeout", f"w{HANGS_PX}.avif"),
        ("encoder_timeout", "w120.avif"),
    ]
    assert str(LIMIT_S + 1) in manifest.failures[0].message
    assert "PIXFLEET_WORKER_ENCODE_TIME_LIMIT_S" in manifest.failures[0].hint
    assert "sitecustomize.py" in fleet.log, "the log shows where the encoder stood"
    assert submit(cut(121, "avif"), out="next").result(60).status == "done"


def test_an_encoder_that_kills_its_process_twice_costs_its_format_and_nothing_else(submit):
    manifest = submit(cut(61, "avif"), cut(DIES_PX, "avif", "jpeg"), cut(122, "jpeg")).result(60)

    assert manifest.status == "partial"
    assert manifest.attempts == 3
    assert made(manifest) == [("w61", "avif"), (f"w{DIES_PX}", "jpeg"), ("w122", "jpeg")]
    (failure,) = manifest.failures
    assert (failure.code, failure.variant) == ("encoder_crashed", f"w{DIES_PX}.avif")
    assert "2 times" in failure.message
    assert submit(cut(123, "avif"), out="next").result(60).status == "done"


@pytest.mark.parametrize("width", [HANGS_PX, DIES_PX, RUNS_OUT_PX], ids=["hang", "death", "memory"])
def test_of_several_candidates_the_next_one_is_taken_and_the_loss_is_on_record(submit, width):
    manifest = submit(cut(width, "avif", "webp", "jpeg", pick="best")).result(60)

    assert manifest.status == "done"
    (variant,) = manifest.variants
    assert variant.format in {"webp", "jpeg"}
    codes = {
        HANGS_PX: "encoder_timeout",
        DIES_PX: "encoder_crashed",
        RUNS_OUT_PX: "encoder_out_of_memory",
    }
    assert [failure.code for failure in variant.passed_over] == [codes[width]]
    (lost,) = [one for one in variant.candidates if one.format == "avif"]
    assert lost.verdict == "failed"


def test_what_was_only_a_stand_in_is_not_remembered(submit):
    wanted = cut(RUNS_OUT_PX, "avif", "jpeg", pick="best")
    first, second = (submit(wanted, out=out).result(60) for out in ("a", "b"))

    assert first.variants[0].passed_over
    assert not second.variants[0].memo
    assert second.receipt.memo_hits == 0


@pytest.mark.parametrize(
    ("width", "code"),
    [(RUNS_OUT_PX, "encoder_out_of_memory"), (RAISES_PX, "encoder_failed")],
    ids=["memory", "type-error"],
)
def test_whatever_an_encoder_raises_stays_with_its_format(submit, width, code):
    manifest = submit(cut(width, "avif", "jpeg"), cut(124, "webp")).result(60)

    assert manifest.attempts == 1
    assert made(manifest) == [(f"w{width}", "jpeg"), ("w124", "webp")]
    assert [(f.code, f.variant) for f in manifest.failures] == [(code, f"w{width}.avif")]


def test_a_chord_loses_only_the_format_that_hung(submit):
    # Large enough for members of their own: enlarged, they still have telling widths.
    specs = tuple(
        VariantSpec(name=name, width=px, height=14_000, fit="fill", enlarge=True, formats=both)
        for both in [("jpeg", "avif")]
        for name, px in (("hangs", HANGS_PX), ("dies", DIES_PX), ("fine", 90))
    )

    manifest = submit(*specs, execution="fanout").result(120)

    assert manifest.plan.execution == "fanout"
    assert manifest.plan.members == 3
    assert manifest.status == "partial"
    assert made(manifest) == [
        *(("hangs", "jpeg"), ("dies", "jpeg"), ("fine", "jpeg"), ("fine", "avif"))
    ]
    assert sorted(failure.variant for failure in manifest.failures) == ["dies.avif", "hangs.avif"]
    # Whichever is known first tells of the other, which is about as large.
    codes = {failure.code for failure in manifest.failures}
    assert codes <= {"encoder_timeout", "encoder_crashed"}
