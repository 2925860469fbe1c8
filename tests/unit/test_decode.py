"""Pixels out of files: colour, depth, alpha, orientation, shrinking, animation."""

from __future__ import annotations

import io
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401 (registers itself)
import pytest
from PIL import Image, ImageCms

from pixfleet.workers.errors import DecodeError
from pixfleet.workers.imaging.decode import decode
from pixfleet.workers.imaging.frames import decode_frames, loop_count
from pixfleet.workers.imaging.geometry import Size
from pixfleet.workers.imaging.header import Limits, read_header

SAMPLES = Path(__file__).parents[2] / "samples"
COLOURS = ((200, 30, 60), (10, 220, 90), (20, 40, 240), (128, 128, 128))
# A matrix profile with Adobe RGB's primaries (1998) and plain gamma 2.2, D50-adapted.
WIDE_XYZ = {
    b"rXYZ": (0.60974, 0.31111, 0.01947),
    b"gXYZ": (0.20528, 0.62567, 0.06087),
    b"bXYZ": (0.14919, 0.06322, 0.74457),
}


def wide_profile() -> bytes:
    """An ICC v2 RGB profile, built here so that no binary is checked in."""

    def s15(value: float) -> bytes:
        return round(value * 65536).to_bytes(4, "big", signed=True)

    def xyz(values) -> bytes:
        return b"XYZ " + bytes(4) + b"".join(map(s15, values))

    text = b"wide\0"
    desc = b"desc" + bytes(4) + len(text).to_bytes(4, "big") + text + bytes(78)
    curve = b"curv" + bytes(4) + (1).to_bytes(4, "big") + (563).to_bytes(2, "big") + bytes(2)
    tags = {
        b"desc": desc,
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": xyz((0.9642, 1, 0.8249)),
    }
    tags |= {name: xyz(values) for name, values in WIDE_XYZ.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    at = 128 + 4 + 12 * len(tags)
    table, body = len(tags).to_bytes(4, "big"), b""
    for name, payload in tags.items():
        table += name + (at + len(body)).to_bytes(4, "big") + len(payload).to_bytes(4, "big")
        body += payload + bytes(-len(payload) % 4)
    head = bytearray(128)
    head[0:4] = (128 + len(table) + len(body)).to_bytes(4, "big")
    head[8:12], head[12:24] = b"\x02\x40\0\0", b"mntrRGB XYZ "
    head[36:40], head[68:80] = b"acsp", s15(0.9642) + s15(1) + s15(0.8249)
    return bytes(head) + table + body


def wide_to_srgb(rgb) -> np.ndarray:
    """The same conversion by the book, for the expected values."""
    to_xyz = np.array(list(WIDE_XYZ.values())).T
    from_xyz = np.array(
        [
            [3.1338561, -1.6168667, -0.4906146],
            [-0.9787684, 1.9161415, 0.033454],
            [0.0719453, -0.2289914, 1.4052427],
        ]
    )
    light = (from_xyz @ to_xyz @ (np.array(rgb) / 255) ** (563 / 256)).clip(0, 1)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return encoded * 255


def blocks(mode="RGB", colours=COLOURS) -> Image.Image:
    """Four 32 px blocks of one colour each, side by side."""
    image = Image.new(mode, (128, 32))
    for index, colour in enumerate(colours):
        image.paste(colour, (32 * index, 0, 32 * index + 32, 32))
    return image


def saved(image: Image.Image, image_format: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, image_format, **options)
    return out.getvalue()


def pixels_of(data: bytes, **options) -> np.ndarray:
    return decode(data, read_header(data, Limits()), needed=None, **options).pixels


def centres(pixels: np.ndarray) -> np.ndarray:
    return pixels[16, 16::32].astype(int)


@pytest.mark.parametrize(
    ("image_format", "options", "within"),
    [
        ("JPEG", {"quality": 98, "subsampling": 0}, 4),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("AVIF", {"quality": 98, "subsampling": "4:4:4"}, 4),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("BMP", {}, 0),
        ("GIF", {}, 0),
        ("HEIF", {"quality": 98}, 6),
        ("JXL", {"lossless": True, "effort": 1}, 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_format_gives_its_colours_back(image_format, options, within):
    pillow_heif.register_heif_opener()
    pixels = pixels_of(saved(blocks(), image_format, **options))
    assert pixels.dtype == np.uint8
    assert np.abs(centres(pixels) - COLOURS).max() <= within


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_a_wide_profile_is_converted_to_srgb(image_format):
    lossless = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}
    options = lossless.get(image_format, {"quality": 98} if image_format == "AVIF" else {})
    data = saved(blocks(), image_format, icc_profile=wide_profile(), **options)
    expected = [wide_to_srgb(colour) for colour in COLOURS]
    assert np.abs(centres(pixels_of(data)) - expected).max() <= 6
    assert np.abs(np.array(expected) - COLOURS).max() > 20  # the profile does move them


def test_a_profile_that_is_kept_leaves_the_numbers_alone():
    data = saved(blocks(), "PNG", icc_profile=wide_profile())
    raster = decode(data, read_header(data, Limits()), needed=None, keep_icc=True)
    assert raster.icc == wide_profile()
    assert np.array_equal(centres(raster.pixels), COLOURS)


def test_an_srgb_profile_changes_no_pixel():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = pixels_of(saved(blocks(), "PNG", icc_profile=profile))
    assert np.array_equal(centres(pixels), COLOURS)


def test_a_broken_profile_is_as_if_absent():
    pixels = pixels_of(saved(blocks(), "PNG", icc_profile=b"no profile at all" * 10))
    assert np.array_equal(centres(pixels), COLOURS)


def test_an_inverted_adobe_cmyk_jpeg_has_its_true_colours():
    inks = ((0, 255, 255, 0), (255, 0, 255, 0), (0, 0, 0, 255), (0, 0, 0, 0))
    data = saved(blocks("CMYK", inks), "JPEG", quality=95)
    assert b"Adobe" in data[:300]
    expected = ((255, 0, 0), (0, 255, 0), (0, 0, 0), (255, 255, 255))
    assert np.abs(centres(pixels_of(data)) - expected).max() <= 6


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (32_896, 128), (65_535, 255), (16_448, 64)]
)
def test_a_16_bit_grey_png_is_scaled_to_8_bits(value, expected):
    _, data = cv2.imencode(".png", np.full((8, 8), value, np.uint16))
    assert pixels_of(data.tobytes())[4, 4].tolist() == [expected] * 3


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_a_16_bit_colour_image_is_scaled_to_8_bits(suffix):
    bgr = np.zeros((8, 8, 3), np.uint16)
    bgr[:] = (60 * 257, 30 * 257, 200 * 257)
    _, data = cv2.imencode(suffix, bgr)
    assert pixels_of(data.tobytes())[4, 4].tolist() == [200, 30, 60]


def test_a_palette_with_a_transparent_entry_becomes_alpha():
    image = blocks().quantize(4)
    hidden = image.getpixel((16, 16))
    pixels = pixels_of(saved(image, "PNG", transparency=hidden))
    assert pixels.shape == (32, 128, 4)
    assert centres(pixels)[:, 3].tolist() == [0, 255, 255, 255]
    assert np.abs(centres(pixels)[1:, :3] - COLOURS[1:]).max() <= 2


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, [255, 255, 255]),
        ("L", 77, [77, 77, 77]),
        ("LA", (77, 128), [77, 77, 77, 128]),
        ("RGBA", (9, 99, 199, 128), [9, 99, 199, 128]),
        ("RGBA", (9, 99, 199, 255), [9, 99, 199]),
    ],
    ids=["one-bit", "grey", "grey-alpha", "alpha", "opaque-alpha-is-dropped"],
)
def test_a_pixel_kind_becomes_rgb_with_alpha_where_needed(mode, colour, expected):
    pixels = pixels_of(saved(Image.new(mode, (8, 8), colour), "PNG"))
    assert pixels[4, 4].tolist() == expected


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_is_applied(image_format, orientation):
    upright = blocks().crop((0, 0, 96, 32))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(
        stored, image_format, exif=exif, **({"quality": 95} if image_format != "PNG" else {})
    )
    header = read_header(data, Limits())
    assert (header.width, header.height) == (96, 32)
    pixels = decode(data, header, needed=Size(96, 32)).pixels
    assert np.abs(centres(pixels) - COLOURS[:3]).max() <= 40


@pytest.mark.parametrize(
    ("longest_px", "scale"), [(1000, 1.0), (260, 1.0), (250, 0.5), (125, 0.25), (20, 0.125)]
)
def test_a_jpeg_is_decoded_at_the_smallest_scale_that_is_twice_what_is_needed(longest_px, scale):
    data = (SAMPLES / "hubble_deep_field.jpg").read_bytes()
    header = read_header(data, Limits())
    needed = Size(longest_px, round(header.height * longest_px / header.width))
    raster = decode(data, header, needed=needed)
    assert raster.scale == scale
    assert raster.pixels.shape == (round(872 * scale), 1000 * scale, 3)


def test_a_large_png_is_averaged_down_while_the_margin_holds():
    data = (SAMPLES / "kodim23.png").read_bytes()
    header = read_header(data, Limits())
    raster = decode(data, header, needed=Size(96, 64))
    assert raster.scale == 1 / 4
    whole = decode(data, header, needed=None).pixels
    expected = whole.reshape(128, 4, 192, 4, 3).mean(axis=(1, 3))
    assert np.abs(raster.pixels - expected).max() <= 1


def test_a_damaged_jpeg_is_refused_although_libjpeg_would_fill_it_with_grey():
    data = bytearray(saved(Image.effect_noise((320, 240), 80), "JPEG"))
    data[9000:9100] = b"\xff\x00" * 50
    with pytest.raises(DecodeError) as failure:
        pixels_of(bytes(data))
    assert failure.value.code == "image_corrupt"


def test_a_png_with_a_text_bomb_still_gives_its_pixels():
    data = saved(blocks(), "PNG")
    payload = b"bomb\0\0" + zlib.compress(bytes(80_000_000))
    chunk = len(payload).to_bytes(4, "big") + b"zTXt" + payload
    chunk += zlib.crc32(b"zTXt" + payload).to_bytes(4, "big")
    pixels = pixels_of(data[:33] + chunk + data[33:])
    assert np.array_equal(centres(pixels), COLOURS)


def test_floating_point_pixels_are_refused_with_a_hint():
    data = saved(Image.new("F", (8, 8), 0.5), "TIFF")
    with pytest.raises(DecodeError) as failure:
        pixels_of(data)
    assert failure.value.code == "unsupported_pixels"


@pytest.mark.parametrize(
    ("image_format", "options"),
    [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("AVIF", {"quality": 95})],
    ids=["gif", "apng", "webp", "avif"],
)
def test_an_animation_gives_every_frame_whole_with_its_duration(image_format, options):
    backdrop = Image.new("RGB", (64, 48), (0, 0, 200))
    frames = []
    for index in range(3):
        frame = backdrop.copy()
        frame.paste((250, 200, 0), (16 * index, 8, 16 * index + 16, 24))
        frames.append(frame)
    data = saved(
        frames[0],
        image_format,
        save_all=True,
        append_images=frames[1:],
        duration=[50, 120, 200],
        loop=0,
        **options,
    )
    header = read_header(data, Limits())
    seen = list(decode_frames(data, header, needed=None, limits=Limits()))
    assert [frame.duration_ms for frame in seen] == [50, 120, 200]
    assert loop_count(data, header) == 0
    for index, frame in enumerate(seen):
        assert np.abs(frame.pixels[16, 16 * index + 8, :3].astype(int) - (250, 200, 0)).max() <= 12
        assert np.abs(frame.pixels[40, 4, :3].astype(int) - (0, 0, 200)).max() <= 12


def test_a_gif_without_a_loop_block_plays_once_and_one_that_repeats_twice_plays_three_times():
    first, second = Image.new("P", (8, 8), 0), Image.new("P", (8, 8), 1)
    once = saved(first, "GIF", save_all=True, append_images=[second])
    thrice = saved(first, "GIF", save_all=True, append_images=[second], loop=2)
    assert loop_count(once, read_header(once, Limits())) == 1
    assert loop_count(thrice, read_header(thrice, Limits())) == 3


def test_a_picture_with_a_corrupt_exif_decodes_without_a_warning():
    data = saved(blocks(), "PNG")
    webp = saved(blocks(), "WEBP", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for each in (data, webp):
            assert np.array_equal(centres(pixels_of(each)), COLOURS)
