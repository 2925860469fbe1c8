from __future__ import annotations

import os
import resource

import cv2
import numpy as np
import pytest

from pixfleet.config.contract import ImageJob, Recipe, VariantSpec
from pixfleet.config.settings import Settings, SettingsError
from pixfleet.config.worker_settings import LimitSettings, WorkerSettings
from pixfleet.workers.errors import DecoderLostError, OversizeError
from pixfleet.workers.fleet.large import consumed
from pixfleet.workers.fleet.memory import (
    _cgroup_limits,
    child_budget,
    confine,
    machine_bytes,
    own_budget,
)
from pixfleet.workers.imaging.decoder_memory import enough_memory, exhausted
from pixfleet.workers.imaging.geometry import Size
from pixfleet.workers.imaging.header import Header
from pixfleet.workers.intake import Intake
from pixfleet.workers.need import check_need, largest_bytes, needed_bytes
from pixfleet.workers.pipeline import lay_out


def intake(recipe: Recipe, width: int, height: int, **header) -> Intake:
    known = {"format": "png", "frames": 1, "has_alpha": False, "mode": "RGB", **header}
    return Intake(
        ImageJob(source="x", output="y", recipe=recipe),
        recipe,
        b"",
        "",
        Header(
            width=width,
            height=height,
            orientation=1,
            icc=None,
            file_bytes=0,
            copyright=None,
            **known,
        ),
    )


def needed(width: int, height: int, *variants: VariantSpec, **header) -> int:
    recipe = Recipe(name="x", variants=variants, features=() if variants else ("phash",))
    cuts, _ = lay_out(recipe, Size(width, height))
    return needed_bytes(intake(recipe, width, height, **header), cuts, LimitSettings())


def in_a_child(act) -> str:
    """What ``act`` returns in a fork of this process."""
    reader, writer = os.pipe()
    if not (pid := os.fork()):
        try:
            os.write(writer, str(act()).encode())
        except BaseException as error:  # noqa: BLE001 (a child must not go on as a test)
            os.write(writer, repr(error).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as pipe:
        return pipe.read()


def test_a_child_has_its_share_of_the_memory_or_what_the_setting_says():
    assert child_budget(WorkerSettings(), 2) * 2 <= machine_bytes()
    assert child_budget(WorkerSettings(), 10_000) == 1_000_000_000
    assert child_budget(WorkerSettings(child_memory_bytes=700), 3) == 700


@pytest.mark.parametrize(
    ("membership", "file"),
    [("0::/a/b", "a/memory.max"), ("4:cpu,memory:/a/b", "memory/a/memory.limit_in_bytes")],
    ids=["v2", "v1"],
)
def test_a_containers_limit_counts_even_if_an_outer_group_has_it(tmp_path, membership, file):
    (tmp_path / "cgroup").write_text(f"7:pids:/x\n{membership}\n")
    limit = tmp_path / file
    (limit.parent / "b").mkdir(parents=True)
    (limit.parent / "b" / limit.name).write_text("max\n")
    limit.write_text("123456\n")

    assert _cgroup_limits(tmp_path / "cgroup", tmp_path) == [123456]
    assert _cgroup_limits(tmp_path / "none", tmp_path) == []


def test_beyond_its_limit_a_process_gets_no_memory_and_lives():
    def ask():
        confine(_mapped_bytes() + 200_000_000)
        with (
            pytest.raises(DecoderLostError, match="a PNG") as python,
            enough_memory("decode", "a PNG"),
        ):
            np.ones(400_000_000, np.uint8)
        with pytest.raises(DecoderLostError) as opencv, enough_memory("resize", "a PNG"):
            cv2.resize(np.zeros((10, 10), np.uint8), (20_000, 20_000))
        return python.value.code, opencv.value.code, len(np.ones(50_000_000, np.uint8))

    assert own_budget() is None
    assert in_a_child(ask) == "('decode_out_of_memory', 'resize_out_of_memory', 50000000)"
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.RLIM_INFINITY


def _mapped_bytes() -> int:
    with open("/proc/self/statm") as statm:  # noqa: PTH123
        return int(statm.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("Insufficient memory (case 4)", True),
        ("std::bad_alloc", True),
        ("Memory allocation error: Security limit exceeded: Image size 255x42", False),
        ("broken data stream when reading image file", False),
    ],
)
def test_a_library_without_memory_is_told_from_a_file_that_claims_the_impossible(reason, verdict):
    assert exhausted(reason) is verdict


def test_the_need_grows_with_what_is_decoded_and_with_what_is_encoded():
    thumbnail = VariantSpec(name="a", width=200, formats=("jpeg",))
    full = VariantSpec(name="b", formats=("jpeg",))
    avif = VariantSpec(name="c", formats=("avif",))

    assert needed(8000, 6000, thumbnail) < needed(8000, 6000, full) < needed(8000, 6000, avif)
    assert needed(8000, 6000, full, format="jpeg") < needed(8000, 6000, full, has_alpha=True)
    assert needed(8000, 6000, thumbnail, format="jpeg") < 0.15e9
    assert needed(8000, 6000) < needed(8000, 6000, full)


def test_no_allowed_job_needs_more_than_the_largest():
    full = VariantSpec(name="a", formats=("avif", "webp", "jxl"))
    for name in ("png", "webp", "jxl", "tiff"):
        assert needed(10_000, 10_000, full, format=name, has_alpha=True) <= largest_bytes(
            LimitSettings()
        )


def test_a_job_beyond_the_budget_is_refused_with_both_numbers():
    check_need(5_000, None)
    check_need(5_000, 5_000)
    with pytest.raises(OversizeError, match=r"2\.50 GB.*1\.00 GB") as refused:
        check_need(2_500_000_000, 1_000_000_000)
    assert refused.value.code == "memory_budget_too_small"


def test_a_worker_takes_large_images_if_it_has_room_or_is_told_to():
    assert consumed("", 5, 5) == ["interactive", "encode", "large", "bulk"]
    assert consumed("", 4, 5) == ["interactive", "encode", "bulk"]
    assert consumed("bulk,large", 4, 5) == ["large", "bulk"]


@pytest.mark.parametrize("value", ["large,", "huge", "bulk large"])
def test_a_misspelt_queue_is_refused_by_name(monkeypatch, value):
    monkeypatch.setenv("PIXFLEET_WORKER_QUEUES", value)
    with pytest.raises(SettingsError, match="PIXFLEET_WORKER_QUEUES"):
        Settings.load()
