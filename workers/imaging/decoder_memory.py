"""What decoding takes of a machine's memory, and how the lack of it is said."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import cv2

from pixfleet.workers.errors import DecoderLostError

if TYPE_CHECKING:
    from collections.abc import Generator

    from .header import Header

_BYTES_PER_PX: Final = {
    # opaque, with alpha, shrunk on load
    "jpeg": (5, 5, 2),
    "png": (11, 18, 5),
    "webp": (18, 27, 15),
    "gif": (11, 18, 5),
    "bmp": (9, 18, 3),
    "tiff": (12, 19, 8),
    "avif": (12, 24, 12),
    "heic": (11, 19, 8),
    "jxl": (14, 22, 11),
}
"""Most that decoding took beyond the file, per pixel of the source, up to the 8-bit array.

Peaks at 16 MP of libjpeg-turbo (progressive), libpng, libwebp, Pillow's GIF, BMP and TIFF, dav1d
with 4:4:4 and alpha, libde265 and libjxl (lossless with alpha), with what Pillow and numpy copy.
"""
_UNUSUAL_BYTES_PER_PX: Final = 17
"""CMYK, 16-bit grey: converted at full size, with intermediates of 4 bytes a sample."""
_FILE_COPIES: Final = 2
_OUT: Final = re.compile(
    r"(?i)(out of|insufficient|not enough) memory|bad_alloc|(cannot|failed to) allocate"
    r"|memory allocation|malloc"
)
_CLAIM: Final = "security limit"
"""libheif's own words for a size that no machine could hold: the file's fault."""
_DOING: Final = {"decode": "decoded", "features": "looked at", "resize": "resized"}


def decoding_bytes(header: Header, *, shrinks: bool) -> int:
    """Most that decoding one frame takes beyond the file; ``shrinks``: at half size or less."""
    opaque, alpha, shrunk = _BYTES_PER_PX[header.format]
    per_px = shrunk if shrinks else alpha if header.has_alpha else opaque
    if header.mode == "CMYK" or header.mode.startswith(("I", "F")):
        per_px = _UNUSUAL_BYTES_PER_PX
    return per_px * header.width * header.height + _FILE_COPIES * header.file_bytes


def dearest_decoding_bytes(px: int, file_bytes: int) -> int:
    """Most that decoding any image of ``px`` pixels takes."""
    most = max(max(per_px) for per_px in _BYTES_PER_PX.values())
    return most * px + _FILE_COPIES * file_bytes


def exhausted(reason: str) -> bool:
    """Is a library's reason for giving up that it got no memory?"""
    return _OUT.search(reason) is not None and _CLAIM not in reason.lower()


def out_of_memory(step: str, what: str) -> DecoderLostError:
    """The failure of ``step`` (decode, features or resize) on ``what`` for want of memory."""
    return DecoderLostError(
        f"{step}_out_of_memory",
        f"{what} could not be {_DOING[step]} in the memory that a child has",
        "run fewer children on this machine, raise PIXFLEET_WORKER_CHILD_MEMORY_BYTES where it has "
        "more, or shrink the source",
    )


@contextmanager
def enough_memory(step: str, what: str) -> Generator[None]:
    """Translate what the body's allocations raise when they fail.

    Raises:
        DecoderLostError: ``decode_out_of_memory``, ``features_…`` or ``resize_…``.
    """
    try:
        yield
    except MemoryError as error:
        raise out_of_memory(step, what) from error
    except cv2.error as error:
        if error.code != cv2.Error.StsNoMem:
            raise
        raise out_of_memory(step, what) from error
