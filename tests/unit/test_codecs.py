from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from pixfleet.workers.errors import EncodeError
from pixfleet.workers.imaging import jpeg, png
from pixfleet.workers.imaging.codec import Metadata, load
from pixfleet.workers.imaging.codecs import (
    FORMATS,
    check_sides,
    codec_versions,
    lossy_codecs,
)
from pixfleet.workers.imaging.efforts import efforts_of
from pixfleet.workers.imaging.ssimulacra2 import Reference
from pixfleet.workers.imaging.webp import lossless_webp

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LOSSY = ("jpeg", "webp", "avif", "jxl")


def codecs_of(name):
    return lossy_codecs(name, efforts_of(name)[0], target=75)


EVERY_CODEC = [codec for name in (*LOSSY, "heic") for codec in codecs_of(name)]
CODECS = pytest.mark.parametrize("codec", EVERY_CODEC, ids=lambda codec: codec.encoder)


def scene(height: int, width: int, channels: int = 3) -> np.ndarray:
    """A smooth picture with an edge and a little grain."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 255 / max(1, width - 1), y * 255 / max(1, height - 1), (x + y) % 64 + 90]
    grain = np.random.default_rng(3).normal(0, 3, (height, width, 3))
    pixels = np.clip(np.dstack(planes) + grain, 0, 255).astype(np.uint8)
    pixels[height // 3 : height // 2] //= 2
    if channels == 4:
        pixels = np.dstack([pixels, np.where(x > width // 3, 255, 0).astype(np.uint8)])
    return pixels


def exif_block() -> bytes:
    exif = Image.Exif()
    exif[0x8298] = "(c) A. Photographer"
    return exif.tobytes()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@CODECS
@pytest.mark.parametrize("size", [(1, 1), (1, 33), (33, 1), (37, 51)], ids=str)
def test_every_codec_keeps_odd_and_tiny_sizes(codec, size):
    data = codec.finish(codec.encode(scene(*size), 80, Metadata()), Metadata())
    assert opened(data).size == (size[1], size[0])
    assert codec.decode(data).shape == (*size, 3)


@CODECS
def test_a_higher_quality_scores_more_and_costs_more(codec):
    pixels = scene(240, 250)
    reference = Reference(pixels)
    low, high = (codec.encode(pixels, quality, Metadata()) for quality in (40, 90))
    assert len(low) < len(high)
    assert reference.score(codec.decode(low)) + 3 < reference.score(codec.decode(high))


def test_no_two_qualities_of_avif_are_the_same_bytes():
    codec = codecs_of("avif")[0]
    qualities = codec.scale.qualities[20:36]
    pixels = scene(64, 64)
    coded = {codec.encode(pixels, quality, Metadata()) for quality in qualities}
    assert len(coded) == len(qualities)


@CODECS
def test_our_decode_is_what_pillow_shows(codec):
    data = codec.encode(scene(60, 70), 70, Metadata())
    expected = np.asarray(opened(data).convert("RGB"))
    assert np.abs(codec.decode(data).astype(int) - expected).max() <= 1


@CODECS
def test_finishing_changes_no_pixel(codec):
    data = codec.encode(scene(90, 110), 75, Metadata())
    final = codec.finish(data, Metadata())
    assert len(final) <= len(data)
    assert np.array_equal(codec.decode(final), codec.decode(data))


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_profile_and_copyright_are_embedded(name):
    codec = codecs_of(name)[0]
    metadata = Metadata(icc=ICC, exif=exif_block())
    image = opened(codec.finish(codec.encode(scene(40, 40), 75, metadata), metadata))
    assert image.info["icc_profile"] == ICC
    assert image.getexif()[0x8298] == "(c) A. Photographer"
    assert 0x0112 not in image.getexif()


def test_a_profile_of_several_jpeg_segments_survives():
    profile = ICC[:128] + np.random.default_rng(0).bytes(150_000)
    data = jpeg.with_markers(
        jpeg.jpeg_codecs()[0].encode(scene(20, 20), 75, Metadata()), Metadata(profile)
    )
    assert opened(data).info["icc_profile"] == profile


def test_jpeg_xl_refuses_a_profile_that_it_would_lose():
    with pytest.raises(EncodeError, match="ICC") as caught:
        codecs_of("jxl")[0].encode(scene(20, 20), 75, Metadata(icc=ICC))
    assert caught.value.code == "icc_unsupported"


def test_jpeg_xl_keeps_the_copyright():
    metadata = Metadata(exif=exif_block())
    data = codecs_of("jxl")[0].encode(scene(20, 20), 75, metadata)
    assert opened(data).getexif()[0x8298] == "(c) A. Photographer"


def test_the_jpeg_is_progressive():
    first = jpeg.jpeg_codecs()[0]
    image = opened(first.finish(first.encode(scene(240, 320), 80, Metadata()), Metadata()))
    assert image.info.get("progressive")


@pytest.mark.parametrize("name", ["webp", "avif", "jxl"])
def test_alpha_survives(name):
    codec = codecs_of(name)[0]
    pixels = scene(60, 70, channels=4)
    decoded = codec.decode(codec.encode(pixels, 80, Metadata()))
    assert decoded.shape == pixels.shape
    assert np.abs(decoded[..., 3].astype(int) - pixels[..., 3]).mean() < 4


def test_full_chroma_reaches_what_halved_chroma_cannot():
    pixels = np.zeros((240, 240, 3), np.uint8)
    pixels[::2, :, 0] = 255
    pixels[1::2, :, 2] = 255
    reference = Reference(pixels)
    halved, full = (
        reference.score(codec.decode(codec.encode(pixels, 100, Metadata())))
        for codec in jpeg.jpeg_codecs()
    )
    assert full > halved + 10


@pytest.mark.parametrize(
    ("name", "side"), [("jpeg", 65_535), ("webp", 16_383), ("avif", 65_536)], ids=LOSSY[:3]
)
def test_a_side_beyond_the_format_is_refused_before_encoding(name, side):
    check_sides(name, side, 1)
    with pytest.raises(EncodeError, match=str(side)) as caught:
        check_sides(name, 1, side + 1)
    assert caught.value.code == "format_side_limit"


def test_an_encoders_own_complaint_is_reported():
    with pytest.raises(EncodeError, match="WEBP") as caught:
        codecs_of("webp")[0].encode(scene(1, 16_384), 50, Metadata())
    assert caught.value.code == "encoder_failed"


GRAPHIC = np.kron(np.arange(120, dtype=np.uint8).reshape(10, 12), np.ones((9, 9), np.uint8))
EXACT = {
    "grey": np.dstack([GRAPHIC] * 3),
    "few colours": np.dstack([GRAPHIC, GRAPHIC // 2, 255 - GRAPHIC]),
    "few colours, alpha": np.dstack([GRAPHIC, GRAPHIC // 2, GRAPHIC, GRAPHIC * 2]),
    "many colours": scene(61, 67),
    "many colours, alpha": np.dstack([scene(61, 67), scene(61, 67)[..., 0]]),
    "one pixel": scene(1, 1),
}


@pytest.mark.parametrize("pixels", EXACT.values(), ids=EXACT.keys())
def test_a_lossless_png_is_exact(pixels):
    assert np.array_equal(load(png.lossless_png(pixels, Metadata())), pixels)


@pytest.mark.parametrize("pixels", EXACT.values(), ids=EXACT.keys())
def test_a_lossless_webp_shows_the_same_pixels(pixels):
    decoded = load(lossless_webp(pixels, Metadata()))
    if pixels.shape[2] == 3:
        assert np.array_equal(decoded, pixels)
        return
    visible = pixels[..., 3] > 0
    assert np.array_equal(decoded[visible], pixels[visible])


@pytest.mark.parametrize("channels", [3, 4], ids=["opaque", "alpha"])
@pytest.mark.parametrize("colours", [256, 16])
def test_a_palette_png_decodes_to_what_was_scored(colours, channels):
    quantised = png.paletted(scene(80, 90, channels), colours)
    assert len(np.unique(quantised.index)) <= colours
    assert np.array_equal(load(quantised.png(Metadata())), quantised.pixels)


def test_every_format_names_its_encoder_and_version():
    assert tuple(codec_versions()) == FORMATS
    assert all(any(letter.isdigit() for letter in line) for line in codec_versions().values())


def test_a_jpeg_without_jfif_header_takes_its_markers_first():
    data = jpeg.with_markers(b"\xff\xd8\xff\xdb\x00\x02", Metadata(exif=b"II*\0rest"))
    assert data[:4] == b"\xff\xd8\xff\xe1"
    assert data[4:6] == struct.pack(">H", 2 + 6 + 8)
    assert data[6:20] == b"Exif\0\0II*\0rest"


@pytest.mark.parametrize("missing", ["_jpegli", "mozjpeg"])
def test_without_a_small_package_jpeg_is_still_progressive(missing, monkeypatch):
    monkeypatch.setattr(jpeg, missing, None)
    monkeypatch.setattr(jpeg, "_jpegli", None)
    first = jpeg.jpeg_codecs()[0]
    data = first.finish(first.encode(scene(100, 120), 80, Metadata()), Metadata())
    assert opened(data).info["progressive"]
    assert "JPEG 4:2:0" in first.encoder
    assert ("mozjpeg" in first.encoder) == (missing == "_jpegli")
