from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pixfleet.workers.imaging.animation import Frame, alike, encode_animation
from pixfleet.workers.imaging.encode import EncodeRequest, FormatFailure
from pixfleet.workers.imaging.ssimulacra2 import Reference

ROOT = Path(__file__).parents[2]
COUNT = 5


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    with Image.open(ROOT / "samples" / "chelsea.png") as image:
        cat = np.asarray(image.convert("RGB"))[60:260, 60:360]
    pages = [cat.copy() for _ in range(COUNT)]
    for number, page in enumerate(pages):
        page[20:80, 40 * number : 40 * number + 40] = (255, 40 * number, 0)
    return [Frame(page, 50 + 10 * number) for number, page in enumerate(pages)]


def pages(data: bytes) -> list[Image.Image]:
    with Image.open(io.BytesIO(data)) as image:
        return [page.convert("RGBA") for page in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_all_frames_come_through_at_the_promised_quality(frames, name):
    (result,) = encode_animation(frames, 0, EncodeRequest((name,), "each", 75.0))
    assert result.reached
    assert result.frames == COUNT
    decoded = pages(result.data)
    assert len(decoded) == COUNT
    for number in (0, COUNT // 2, COUNT - 1):
        score = Reference(frames[number].pixels).score(np.asarray(decoded[number].convert("RGB")))
        assert score >= 74.4
        assert score >= result.score - 0.1


def test_an_apng_is_exact_with_its_times_and_loops(frames):
    (result,) = encode_animation(frames, 3, EncodeRequest(("png",), "each", 75.0))
    assert result.metric == "lossless"
    with Image.open(io.BytesIO(result.data)) as image:
        assert image.info["loop"] == 3
        for frame in frames:
            assert image.info["duration"] == frame.duration_ms
            assert np.array_equal(np.asarray(image.convert("RGB")), frame.pixels)
            if image.tell() + 1 < COUNT:
                image.seek(image.tell() + 1)


def test_webp_keeps_each_frames_time(frames):
    (result,) = encode_animation(frames, 2, EncodeRequest(("webp",), "each", 60.0))
    with Image.open(io.BytesIO(result.data)) as image:
        assert image.info["loop"] == 2
        times = []
        for number in range(COUNT):
            image.seek(number)
            image.load()
            times.append(image.info["duration"])
    assert times == [frame.duration_ms for frame in frames]


def test_a_format_that_cannot_move_says_that_it_shows_the_first_frame(frames):
    (result,) = encode_animation(frames, 0, EncodeRequest(("jpeg",), "each", 75.0))
    assert result.frames == 1
    assert result.notes[-1] == f"first frame of {COUNT}"
    decoded = np.asarray(pages(result.data)[0].convert("RGB"))
    assert Reference(frames[0].pixels).score(decoded) >= 74


def test_the_smallest_animation_still_moves(frames):
    request = EncodeRequest(("jpeg", "webp", "avif"), "best", 75.0)
    (result,) = encode_animation(frames, 0, request)
    assert result.format in {"webp", "avif"}
    assert len(pages(result.data)) == COUNT


def test_transparent_frames_stay_transparent(frames):
    alpha = np.full((200, 300), 255, np.uint8)
    alpha[:, :100] = 0
    clear = [Frame(np.dstack([f.pixels, alpha]), f.duration_ms) for f in frames]
    for result in encode_animation(clear, 0, EncodeRequest(("webp", "avif", "png"), "each", 70.0)):
        assert result.reached
        shown = np.asarray(pages(result.data)[-1])
        assert shown[:, :90, 3].max() < 20
        assert shown[:, 110:, 3].min() > 235


def test_frames_are_read_one_at_a_time():
    class Lazy(list):
        read = 0

        def __getitem__(self, index):
            Lazy.read += 1
            y, x = np.mgrid[0:230, 0:240]
            return Frame(np.dstack([x, y, (x + 9 * index) % 256]).astype(np.uint8), 40)

        def __iter__(self):
            return (self[index] for index in range(len(self)))

    (result,) = encode_animation(Lazy(range(4)), 0, EncodeRequest(("webp",), "each", 70.0))
    assert Lazy.read > 4
    assert len(pages(result.data)) == 4


def test_one_frame_is_an_image(frames):
    (result,) = encode_animation(frames[:1], 0, EncodeRequest(("webp",), "each", 75.0))
    assert result.frames == 1


def test_frames_too_large_for_the_format_fail_alone():
    wide = [Frame(np.full((1, 16_400, 3), shade, np.uint8), 40) for shade in (0, 255)]
    (result,) = encode_animation(wide, 0, EncodeRequest(("webp",), "each", 75.0))
    assert isinstance(result, FormatFailure)
    assert result.error.code == "format_side_limit"


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_alpha_that_comes_late_is_kept_in_every_format(frames, name):
    late = [*frames[:-1], Frame(np.dstack([frames[-1].pixels] * 2)[..., :4].copy(), 80)]
    late[-1].pixels[..., 3] = 255
    late[-1].pixels[:60, :, 3] = 0
    (result,) = encode_animation(alike(late), 0, EncodeRequest((name,), "each", 70.0))
    assert result.reached
    *_, last = pages(result.data)
    assert np.asarray(last.convert("RGBA"))[5, 5, 3] == 0
