"""Large images in bands of rows, so that scoring them takes bounded memory."""

from __future__ import annotations

from typing import Final, NamedTuple

from .gaussian import HALO

LARGE_PX: Final = 16_000_000
"""Above this an image is scored in bands: some 250 MB, whatever its size."""

_BAND_PX: Final = 12_000_000
_SCALES: Final = 6
_ALIGNED_ROWS: Final = 128
"""Whole rows of tiles, and whole pixels at every scale."""
_HALO_ROWS: Final = HALO << (_SCALES - 1)
"""What a Gaussian at the coarsest scale looks at, a multiple of the alignment."""


class Band(NamedTuple):
    """Rows ``top:bottom`` of an image, which count, within ``first:last``, which are looked at."""

    first: int
    top: int
    bottom: int
    last: int

    def rows(self, scale: int) -> tuple[int, int]:
        """The rows that count, at a scale, from the band's first."""
        top, bottom = self.top - self.first, self.bottom - self.first
        return top >> scale, -(-bottom >> scale)


def bands(height: int, width: int) -> list[Band]:
    """One band of a whole image; of a large one, as many as keep each small.

    Every row counts in one band, and what counts has all its neighbourhood in its band at every
    scale: sums over the bands are those over the image.
    """
    rows = height
    if height * width > LARGE_PX:
        rows = max(_ALIGNED_ROWS, _BAND_PX // width // _ALIGNED_ROWS * _ALIGNED_ROWS)
    return [
        Band(
            first=max(0, top - _HALO_ROWS),
            top=top,
            bottom=min(height, top + rows),
            last=min(height, top + rows + _HALO_ROWS),
        )
        for top in range(0, height, rows)
    ]
