from __future__ import annotations

import ctypes
import os
import signal

import pytest

from tests.fuzz.campaign import Cases, campaign
from tests.fuzz.pool import Pool
from tests.fuzz.seeds import seeds

COUNT = 300


def test_no_damaged_image_crashes_hangs_or_surprises_the_first_step(tmp_path):
    files = seeds()

    tally = campaign(Cases(files, seed=20), range(COUNT), tmp_path / "findings")

    assert tally.cases == COUNT
    assert [(case.number, case.code, case.detail) for case in tally.findings] == []
    assert {"jpeg", "png", "webp", "gif", "bmp", "tiff", "avif", "heic", "jxl"} <= set(tally.codes)
    codes = {code for counts in tally.codes.values() for code in counts}
    assert {"done", "image_corrupt", "image_truncated", "unsupported_format"} <= codes
    assert not (tmp_path / "findings").exists()


@pytest.mark.parametrize("broken", ["crash", "hang", "internal_error", "decode_out_of_memory"])
def test_the_watch_sees(tmp_path, broken):
    def prepare(_child: int):
        def attempt(number: int) -> tuple[str, str, str]:
            if number != 3:
                return "x", "done", ""
            if broken == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            if broken == "hang":
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
                ctypes.PyDLL(None).sleep(60)
            return "x", broken, "why"

        return attempt

    pool = Pool(prepare, children=2, limit_s=1, data_bytes=10**9, folder=tmp_path)
    cases = sorted(pool.cases(range(8)), key=lambda case: case.number)

    assert [case.number for case in cases] == list(range(8)), "it goes on behind the case"
    assert [case.code for case in cases] == [*["done"] * 3, broken, *["done"] * 4]
