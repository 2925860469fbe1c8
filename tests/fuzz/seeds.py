"""Real files of every format that is read, in the kinds that reach different code of its decoder.

Small, so that thousands are processed in minutes, and made from a seed, so that a case can be made
again.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401 (registers the format)
import simplejpeg
from PIL import Image, ImageCms

from tests.hostile import HOSTILE, gif, png

SAMPLES = Path(__file__).parents[2] / "samples"
_SIDE_PX = 48
_EXIF_TURNED = (
    b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    b"\x98\x82\x02\0\x0a\0\0\0\x26\0\0\0\0\0\0\0somebody!\0"
)


def seeds() -> dict[str, bytes]:
    """Files by name; what comes before the first ``-`` is the format."""
    pillow_heif.register_heif_opener()
    rgb, rgba, grey = _pictures()
    frames = [rgb.rotate(90 * turn) for turn in range(3)]
    made = {
        **_jpegs(rgb, grey),
        **_pngs(rgb, rgba, grey, frames),
        **_tiffs(rgb, rgba, grey, frames),
        **_isobmff(rgb, rgba, frames),
        "webp-lossy": _saved(rgb, "WEBP", icc_profile=_icc(), exif=_EXIF_TURNED),
        "webp-lossless": _saved(rgb, "WEBP", lossless=True),
        "webp-alpha": _saved(rgba, "WEBP"),
        "webp-moving": _animated(frames, "WEBP"),
        "gif-still": _saved(rgb.quantize(32), "GIF"),
        "gif-moving": _animated(frames, "GIF", transparency=0, disposal=2),
        "gif-tiny": gif(9, 9, frames=4),
        "bmp-24": _saved(rgb, "BMP"),
        "bmp-palette": _saved(rgb.quantize(16), "BMP"),
        "bmp-one-bit": _saved(grey.convert("1"), "BMP"),
        "bmp-alpha": _saved(rgba, "BMP"),
        "jp2": _saved(rgb, "JPEG2000"),
        "ico": _saved(rgba, "ICO"),
    }
    # The larger ones are of noise, which is another each time.
    made |= {f"hostile-{name}": data for name, (data, _) in HOSTILE.items() if 8 < len(data) < 1200}
    made |= {
        f"{path.suffix[1:].replace('jpg', 'jpeg')}-{path.stem}": _shrunk(path)
        for path in sorted(SAMPLES.glob("*.[jp]*g"))
    }
    return made


def folder_seeds(folder: Path, *, most_bytes: int = 200_000) -> dict[str, bytes]:
    """All files below a folder that are small enough to be tried thousands of times."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        f"{path.suffix[1:].lower() or 'none'}-{path.relative_to(folder)}": path.read_bytes()
        for path in files
        if 0 < path.stat().st_size <= most_bytes
    }


def _pictures() -> tuple[Image.Image, Image.Image, Image.Image]:
    random = np.random.default_rng(7)
    ramp = np.linspace(0, 255, _SIDE_PX)
    across, down = np.meshgrid(ramp, ramp)
    base = np.stack([across, down, across[:, ::-1]], axis=-1)
    noisy = (base + random.normal(0, 12, base.shape)).clip(0, 255).astype(np.uint8)
    rgb = Image.fromarray(noisy)
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray(ramp.astype(np.uint8)[None, :].repeat(_SIDE_PX, 0)))
    return rgb, rgba, rgb.convert("L")


def _icc() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _saved(image: Image.Image, image_format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, image_format, **options)
    return out.getvalue()


def _animated(frames: list[Image.Image], image_format: str, **options: Any) -> bytes:
    first, *rest = frames
    return _saved(first, image_format, save_all=True, append_images=rest, duration=40, **options)


def _shrunk(path: Path) -> bytes:
    with Image.open(path) as image:
        image.thumbnail((96, 96))
        return _saved(image.convert("RGB"), "PNG" if path.suffix == ".png" else "JPEG")


def _jpegs(rgb: Image.Image, grey: Image.Image) -> dict[str, bytes]:
    pixels = np.ascontiguousarray(np.asarray(rgb))
    return {
        "jpeg-baseline": _saved(rgb, "JPEG", icc_profile=_icc(), exif=_EXIF_TURNED),
        "jpeg-progressive": _saved(rgb, "JPEG", progressive=True, subsampling=0),
        "jpeg-restarts": _saved(rgb, "JPEG", restart_marker_blocks=2, comment=b"a comment"),
        "jpeg-grey": _saved(grey, "JPEG"),
        "jpeg-cmyk": _saved(rgb.convert("CMYK"), "JPEG"),
        "jpeg-turbo": simplejpeg.encode_jpeg(pixels, 80, "RGB", "420"),
        "jpeg-several": _saved(rgb, "MPO", save_all=True, append_images=[grey.convert("RGB")]),
    }


def _pngs(
    rgb: Image.Image, rgba: Image.Image, grey: Image.Image, frames: list[Image.Image]
) -> dict[str, bytes]:
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    return {
        "png-rgb": _saved(rgb, "PNG", icc_profile=_icc(), exif=_EXIF_TURNED),
        "png-rgba": _saved(rgba, "PNG"),
        "png-palette": _saved(rgb.quantize(16), "PNG", transparency=3),
        "png-grey": _saved(grey, "PNG"),
        "png-grey-16": _saved(wide, "PNG"),
        "png-one-bit": _saved(grey.convert("1"), "PNG"),
        "png-moving": _animated(frames, "PNG"),
        "png-tiny": png(2, 1, b"\0\1\2\3\4\5\6"),
    }


def _tiffs(
    rgb: Image.Image, rgba: Image.Image, grey: Image.Image, frames: list[Image.Image]
) -> dict[str, bytes]:
    return {
        "tiff-raw": _saved(rgb, "TIFF"),
        "tiff-lzw": _saved(rgba, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": _saved(grey, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-jpeg": _saved(rgb, "TIFF", compression="jpeg"),
        "tiff-packbits": _saved(rgb, "TIFF", compression="packbits"),
        "tiff-fax": _saved(grey.convert("1"), "TIFF", compression="group4"),
        "tiff-cmyk": _saved(rgb.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        "tiff-float": _saved(grey.convert("F"), "TIFF"),
        "tiff-pages": _animated(frames, "TIFF", compression="tiff_lzw"),
    }


def _isobmff(rgb: Image.Image, rgba: Image.Image, frames: list[Image.Image]) -> dict[str, bytes]:
    heif = pillow_heif.from_pillow(rgb)
    heif.add_from_pillow(rgba)
    several = io.BytesIO()
    heif.save(several)
    return {
        "avif-still": _saved(rgb, "AVIF", speed=9, icc_profile=_icc(), exif=_EXIF_TURNED),
        "avif-alpha": _saved(rgba, "AVIF", speed=9, subsampling="4:4:4"),
        "avif-moving": _animated(frames, "AVIF", speed=9),
        "heic-still": _saved(rgb, "HEIF", exif=_EXIF_TURNED),
        "heic-alpha": _saved(rgba, "HEIF"),
        "heic-several": several.getvalue(),
        "jxl-lossy": _saved(rgb, "JXL", effort=3),
        "jxl-lossless": _saved(rgba, "JXL", lossless=True, effort=3),
        "jxl-container": _saved(rgb, "JXL", effort=3, use_container=True, exif=_EXIF_TURNED),
    }
