"""Animated sources (GIF, APNG, WebP, AVIF sequences), one composited frame after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pixfleet.workers.errors import LimitError

from .decode import finish, shrink
from .pillow import frame_count, open_image, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from .geometry import Size
    from .header import Header, Limits


_MOST_LOOPS: Final = 65_535
"""What WebP's field holds; an APNG's may say more."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it is seen: uint8 (H, W, 3 or 4), oriented, sRGB, straight alpha.

    ``duration_ms`` is the file's own; 0 where it gives none, which viewers show as 100 ms.
    """

    pixels: NDArray[np.uint8]
    duration_ms: int
    scale: float


def loop_count(data: bytes, header: Header) -> int:
    """How often the animation plays; 0: for ever. A GIF without a loop block plays once."""
    with open_image(data, header.format) as image:
        if header.format == "gif":
            # The block counts repetitions after the first showing.
            loop = image.info.get("loop")
            loop = 1 if loop is None else int(loop) + 1 if loop else 0
        else:
            loop = int(image.info.get("loop", 0))
        return min(loop, _MOST_LOOPS)


def decode_frames(
    data: bytes, header: Header, *, needed: Size | None, limits: Limits
) -> Iterator[Frame]:
    """Every frame, fully composited, decoded one at a time.

    ``needed`` as in `decode.decode`. The still that an APNG shows where animation is not understood
    is passed over when it is not part of the animation.

    Raises:
        DecodeError: ``image_truncated``, ``image_corrupt``.
        LimitError: ``image_too_many_frames``.

    """
    with open_image(data, header.format) as image:
        first = 1 if image.info.get("default_image") else 0
        with translated(data, header.format):
            last = frame_count(image)
        if last - first > limits.max_frames:
            raise LimitError(
                "image_too_many_frames",
                f"the animation has {last - first:,} frames; the limit is {limits.max_frames:,}",
                "shorten the animation, or raise the limit on frames",
            )
        for index in range(first, last):
            with translated(data, header.format):
                image.seek(index)
                image.load()
            seen, scale = shrink(image.copy(), needed)
            pixels, _ = finish(seen, header.icc, header.orientation, keep_icc=False)
            yield Frame(pixels, int(image.info.get("duration", 0)), scale)
