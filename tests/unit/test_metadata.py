"""Stripping metadata without touching a pixel."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from pixfleet.workers.imaging.exif import copyright_exif, read_exif
from pixfleet.workers.imaging.header import Limits, read_header
from pixfleet.workers.imaging.metadata import stripped

NOTICE = "© 2024 Zoë Müller"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
NOTHING: frozenset[str] = frozenset()


def with_metadata(image_format: str, **options) -> bytes:
    image = Image.effect_noise((80, 60), 50).convert("RGB")
    exif = Image.Exif()
    exif[0x010F] = "Camera maker of no importance"
    exif[0x8298] = NOTICE.encode()
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    out = io.BytesIO()
    options.setdefault("icc_profile", SRGB)
    image.save(out, image_format, exif=exif, xmp=b"<x:xmpmeta>secret</x:xmpmeta>", **options)
    return out.getvalue()


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_a_stripped_file_has_the_same_pixels_and_no_metadata(image_format):
    data = with_metadata(image_format)
    bare = stripped(data, read_header(data, Limits()), NOTHING)
    assert bare is not None
    assert np.array_equal(pixels(bare), pixels(data))
    assert len(bare) < len(data)
    with Image.open(io.BytesIO(bare)) as image:
        image.load()
        assert not dict(image.getexif())
        assert not {"icc_profile", "exif", "xmp", "comment"} & image.info.keys()
    assert b"Camera maker" not in bare
    assert b"secret" not in bare


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_copyright_and_profile_are_kept_when_asked_and_nothing_else(image_format):
    data = with_metadata(image_format)
    header = read_header(data, Limits())
    assert header.copyright == NOTICE
    kept = stripped(data, header, frozenset({"icc", "copyright"}))
    assert kept is not None
    assert np.array_equal(pixels(kept), pixels(data))
    assert b"Camera maker" not in kept
    again = read_header(kept, Limits())
    assert (again.copyright, again.icc) == (NOTICE, SRGB)


def test_a_plain_webp_gets_a_copyright_that_readers_find():
    out = io.BytesIO()
    Image.effect_noise((33, 21), 50).convert("RGB").save(out, "WEBP", lossless=True)
    header = read_header(out.getvalue(), Limits())
    assert stripped(out.getvalue(), header, NOTHING) == out.getvalue()
    kept = stripped(
        out.getvalue(), dataclasses.replace(header, copyright=NOTICE), frozenset({"copyright"})
    )
    assert kept is not None
    assert read_header(kept, Limits()).copyright == NOTICE
    assert np.array_equal(pixels(kept), pixels(out.getvalue()))


@pytest.mark.parametrize(
    ("image_format", "options"),
    [("AVIF", {}), ("TIFF", {}), ("GIF", {})],
    ids=["avif", "tiff", "gif"],
)
def test_a_format_that_cannot_be_stripped_losslessly_is_left_to_the_encoder(image_format, options):
    out = io.BytesIO()
    Image.effect_noise((32, 32), 50).save(out, image_format, **options)
    assert stripped(out.getvalue(), read_header(out.getvalue(), Limits()), NOTHING) is None


def test_a_turned_picture_cannot_be_stripped():
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.new("RGB", (32, 32)).save(out, "JPEG", exif=exif)
    assert stripped(out.getvalue(), read_header(out.getvalue(), Limits()), NOTHING) is None


def test_bytes_after_the_image_are_dropped():
    data = with_metadata("JPEG")
    header = read_header(data, Limits())
    assert stripped(data + b"second picture" * 99, header, NOTHING) == stripped(
        data, header, NOTHING
    )


def test_a_profile_that_is_neither_srgb_nor_kept_forbids_stripping():
    data = with_metadata("PNG", icc_profile=LAB)
    header = read_header(data, Limits())
    assert stripped(data, header, NOTHING) is None
    assert stripped(data, header, frozenset({"icc"})) is not None


@pytest.mark.parametrize("notice", ["x", "abc", "© Ann", "a" * 300])
def test_a_copyright_block_reads_back(notice):
    block = copyright_exif(notice)
    assert block is not None
    assert read_exif(block) == (1, notice)
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + block)
    assert notice.isascii() is (exif[0x8298].strip() == notice)


def test_no_copyright_makes_no_block():
    assert copyright_exif(None) is None
    assert copyright_exif("") is None


@pytest.mark.parametrize(
    "garbage", [b"", b"II", b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x08\xff\xff" + bytes(9)]
)
def test_garbage_in_place_of_exif_reads_as_nothing(garbage):
    assert read_exif(garbage) == (1, None)
