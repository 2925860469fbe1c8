"""What read_header accepts and refuses."""

from __future__ import annotations

import io
import runpy
import struct
from pathlib import Path

import pillow_heif
import pillow_jxl  # noqa: F401 (registers itself)
import pytest
from PIL import Image

from pixfleet.workers.errors import DecodeError, LimitError, WorkError
from pixfleet.workers.imaging.decode import decode
from pixfleet.workers.imaging.header import Limits, read_header

# Tests are no package: what they share is run from its file.
_shared = runpy.run_path(str(Path(__file__).parents[1] / "hostile.py"))
HOSTILE, photo, gif = _shared["HOSTILE"], _shared["photo"], _shared["gif"]


@pytest.mark.parametrize(("data", "code"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_ends_in_its_own_failure(data, code):
    with pytest.raises(WorkError) as failure:
        decode(data, read_header(data, Limits()), needed=None)
    assert failure.value.code == code
    assert failure.value.message
    assert failure.value.hint


@pytest.mark.parametrize(
    ("name", "word"),
    [("text.jpg", "text"), ("drawing.svg", "SVG"), ("document.jpg", "PDF"), ("page.png", "HTML")],
)
def test_an_unsupported_file_is_told_what_it_looks_like(name, word):
    with pytest.raises(DecodeError, match=word):
        read_header(HOSTILE[name][0], Limits())


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(max_file_bytes=100), "file_too_large"),
        (Limits(max_pixels=160 * 120 - 1), "image_too_many_pixels"),
        (Limits(max_side_px=159), "image_side_too_long"),
    ],
    ids=["bytes", "pixels", "side"],
)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP"])
def test_a_limit_holds_for_every_format(image_format, limits, code):
    with pytest.raises(LimitError) as failure:
        read_header(photo(image_format), limits)
    assert failure.value.code == code


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP", "AVIF"])
def test_an_animation_over_the_frame_limit_is_refused_and_one_within_is_counted(image_format):
    first, *rest = (Image.new("RGB", (16, 16), (40 * index, 0, 90)) for index in range(5))
    out = io.BytesIO()
    first.save(out, image_format, save_all=True, append_images=rest, duration=50)
    assert read_header(out.getvalue(), Limits(max_frames=5)).frames == 5
    with pytest.raises(LimitError) as failure:
        read_header(out.getvalue(), Limits(max_frames=4))
    assert failure.value.code == "image_too_many_frames"


@pytest.mark.parametrize(
    ("image_format", "name"),
    [
        ("JPEG", "jpeg"),
        ("PNG", "png"),
        ("WEBP", "webp"),
        ("GIF", "gif"),
        ("AVIF", "avif"),
        ("TIFF", "tiff"),
        ("BMP", "bmp"),
        ("HEIF", "heic"),
        ("JXL", "jxl"),
    ],
)
def test_a_format_is_known_by_its_bytes_and_measured_without_decoding(image_format, name):
    pillow_heif.register_heif_opener()
    header = read_header(photo(image_format, (168, 104)), Limits())
    assert (header.format, header.width, header.height) == (name, 168, 104)
    assert (header.frames, header.has_alpha) == (1, False)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (7, 300), (256, 256), (1000, 500), (513, 3001)])
def test_the_size_of_a_jpeg_xl_is_read_from_its_codestream(size):
    for mode in ("RGB", "RGBA", "L"):
        out = io.BytesIO()
        Image.new(mode, size).save(out, "JXL", effort=1)
        header = read_header(out.getvalue(), Limits())
        assert (header.width, header.height, header.has_alpha) == (*size, mode == "RGBA")


def test_an_orientation_that_turns_swaps_the_sides():
    exif = Image.Exif()
    exif[0x0112] = 6
    header = read_header(photo("JPEG", exif=exif), Limits())
    assert (header.width, header.height, header.orientation) == (120, 160, 6)


def test_a_corrupt_exif_block_is_as_if_absent():
    data = photo("JPEG")
    for block in (
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
    ):
        app1 = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
        header = read_header(data[:2] + app1 + data[2:], Limits())
        assert (header.orientation, header.copyright) == (1, None)


def test_a_99_megapixel_image_passes_the_default_limits():
    data = bytearray(photo("JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 10_328, 9_643)
    assert read_header(bytes(data), Limits()).height == 10_328


def test_a_small_gif_whose_frame_outgrows_its_screen_is_measured_with_the_frame():
    data = bytearray(gif(4, 4))
    at = data.index(b"\x2c") + 1
    data[at : at + 8] = struct.pack("<HHHH", 0, 0, 65_000, 65_000)
    with pytest.raises(LimitError):
        read_header(bytes(data), Limits())
