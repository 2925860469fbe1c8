"""Pillow, opened the way pixfleet needs it: one format, no warnings, no limits but ours.

Set once, at import, for the whole process:

- ``Image.MAX_IMAGE_PIXELS = None``: `header.read_header` checks `header.Limits` before any file
  reaches Pillow, and Pillow's own guess (a warning at 89 MP) would refuse images we allow.
- one decoding thread a codec: a worker process is one of many on its machine.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from PIL import AvifImagePlugin, Image

from pixfleet.workers.errors import DecodeError

from .chunks import cut_off, png_chunks
from .decoder_memory import exhausted, out_of_memory

if TYPE_CHECKING:
    from collections.abc import Generator

Image.MAX_IMAGE_PIXELS = None
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_PLUGINS: Final = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "gif": "GIF",
    "avif": "AVIF",
    "tiff": "TIFF",
    "bmp": "BMP",
    "heic": "HEIF",
    "jxl": "JXL",
}
_PNG_TEXT: Final = frozenset({b"tEXt", b"zTXt", b"iTXt", b"eXIf"})
# All that Pillow and its plugins raise over bytes that they cannot read; anything else is a bug.
BROKEN: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,
    ArithmeticError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    zlib.error,
)
# `warnings.catch_warnings` swaps the process's filters; two threads at once would leave them wrong.
_warnings_lock = threading.Lock()


@cache
def register_heif() -> None:
    """Let Pillow read and write HEIC."""
    import pillow_heif  # noqa: PLC0415 (loads libheif, which few jobs need)

    pillow_heif.register_heif_opener(thumbnails=False)
    pillow_heif.options.DECODE_THREADS = 1


@cache
def _register_jxl() -> None:
    from pillow_jxl import JpegXLImagePlugin  # noqa: PLC0415 (loads libjxl, which few jobs need)

    JpegXLImagePlugin.DECODE_THREADS = 0


def open_image(data: bytes, image_format: str) -> Image.Image:
    """The file opened by the one Pillow plugin that its bytes call for; no pixels are decoded yet.

    JPEG XL is the exception: its plugin decodes on opening.

    Raises:
        DecodeError: ``image_truncated``, ``image_corrupt``.

    """
    if image_format == "heic":
        register_heif()
    elif image_format == "jxl":
        _register_jxl()
    elif image_format == "png":
        data = _without_text(data)
    with translated(data, image_format), _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(data), formats=(_PLUGINS[image_format],))


def frame_count(image: Image.Image) -> int:
    """Frames or pages of an opened file; a GIF is read to its end for that, and may break there."""
    return int(getattr(image, "n_frames", 1))


@contextmanager
def translated(data: bytes, image_format: str) -> Generator[None]:
    """Pillow's exceptions over a broken file, as ``image_truncated`` or ``image_corrupt``."""
    try:
        yield
    except BROKEN as error:
        raise damaged(data, image_format, str(error)) from error


def damaged(data: bytes, image_format: str, detail: str) -> DecodeError:
    """The error for a file that does not decode; ``detail`` is the decoder's own reason."""
    name = image_format.upper()
    if exhausted(detail):
        return out_of_memory("decode", f"a {name}")
    if "truncated" in detail.lower() or cut_off(data, image_format):
        return DecodeError(
            "image_truncated",
            f"the {name} ends before its image does ({len(data)} bytes)",
            "the upload or copy was interrupted; fetch the file again",
        )
    reason = detail.split("<_io", maxsplit=1)[0].strip()
    return DecodeError(
        "image_corrupt",
        f"the {name} cannot be decoded: {reason}",
        "open it in an image editor and save it again, or fetch an undamaged copy",
    )


def _without_text(data: bytes) -> bytes:
    # Pillow inflates text chunks while reading pixels and gives up on a text bomb; and none of
    # the text is wanted.
    if not any(data.find(kind) >= 0 for kind in _PNG_TEXT):
        return data
    kept = bytearray(data[:8])
    end = 8
    for chunk in png_chunks(data):
        end = chunk.end
        if chunk.kind not in _PNG_TEXT:
            kept += data[chunk.start : chunk.end]
    return bytes(kept) + data[end:]
