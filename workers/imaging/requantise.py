"""JPEG coefficients requantised block by block: fewer bits for the background, in one bitstream."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from .codec import refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]
    Levels = NDArray[np.int16]

jpeglib: Any = None
with suppress(ImportError):  # no wheel for this platform
    import jpeglib

# What the distortion of slow waves counts more, by diagonal: without them blocks turn into tiles,
# which an eye sees before the score does.
_SLOW: Final = np.array([1.0, 8.0, 5.0, 3.0, 1.5, *[1.0] * 10])
# A block that holds more hides more: a wave's distortion counts by this power of its energy, in
# squares of quantiser steps.
_HIDING: Final = 0.2
_HIDDEN_FROM: Final = 30.0
_SIZES: Final = 12
_FEWEST: Final = 0.3
_ROUNDS: Final = 2
_DIAGONAL: Final = np.add.outer(np.arange(8), np.arange(8)).reshape(-1)
_SIZE: Final = np.array([level.bit_length() for level in range(1 << (_SIZES - 1))], np.intp)


def requantiser() -> str:
    """The library that requantises, and its version; "none" where there is none."""
    return f"jpeglib {version('jpeglib')}" if jpeglib else "none"


class Coefficients:
    """The quantised coefficients of one JPEG of our own, read once.

    Args:
        data: a whole JPEG of one or three components.

    Raises:
        EncodeError: ``encoder_failed``.
    """

    def __init__(self, data: bytes) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="pixfleet-") as folder:
                path = Path(folder) / "in.jpg"
                path.write_bytes(data)
                self._jpeg = jpeglib.read_dct(str(path))
                self._jpeg.load()
        except (OSError, ValueError, RuntimeError) as error:
            raise refused("jpeglib", error) from error
        self.width, self.height = int(self._jpeg.width), int(self._jpeg.height)
        self.planes: dict[str, Levels] = {
            name: np.array(plane)
            for name in ("Y", "Cb", "Cr")
            if (plane := getattr(self._jpeg, name)) is not None
        }

    @cached_property
    def steps(self) -> dict[str, Plane]:
        """The (8, 8) quantiser steps of each plane."""
        tables = self._jpeg.quant_tbl_no
        return {
            name: np.asarray(self._jpeg.qt[tables[at]], np.float32)
            for at, name in enumerate(self.planes)
        }

    def written(self, planes: dict[str, Levels]) -> bytes:
        """The JPEG with other levels in place of its own.

        Raises:
            EncodeError: ``encoder_failed``.
        """
        for name, plane in planes.items():
            setattr(self._jpeg, name, plane)
        try:
            with tempfile.TemporaryDirectory(prefix="pixfleet-") as folder:
                path = Path(folder) / "out.jpg"
                self._jpeg.write_dct(str(path))
                return path.read_bytes()
        except (OSError, ValueError, RuntimeError) as error:
            raise refused("jpeglib", error) from error


class Thinned:
    """The coefficients of one JPEG with fewer bits for its background, as few as asked for.

    A coefficient of the background takes the level that is best by rate and distortion: its own,
    the highest of a smaller Huffman category (a level costs the bits of its category, whichever of
    its levels it is), or zero. A category's rate is what it would cost at this place in the block,
    from how often the background holds it; distortion is measured from ``finest``'s coefficient,
    not from ``coded``'s, which was rounded once already. The price of a bit grows with a block's
    depth, which is that of its least deep pixel: no block that touches the region changes. What
    ``coded`` has at zero stays there, and so does every DC.

    Args:
        coded: at the quality that the region needs.
        finest: the same pixels at the encoder's highest quality.
        depth: (H, W) of 0 to 1, as ``regions.depth`` gives it.
    """

    def __init__(self, coded: Coefficients, finest: Coefficients, depth: Plane) -> None:
        self._coded = coded
        luma = coded.planes["Y"].shape
        self._planes = {
            name: _Waves(
                plane.reshape(-1, 64),
                finest.planes[name].reshape(-1, 64),
                (finest.steps[name] / coded.steps[name]).reshape(-1),
                _by_block(depth, plane.shape, luma).reshape(-1),
            )
            for name, plane in coded.planes.items()
        }

    def written(self, price: float) -> bytes:
        """The JPEG at ``price``: squares of a quantiser step that a bit is worth; 0 is its own.

        Raises:
            EncodeError: ``encoder_failed``.
        """
        planes: dict[str, Levels] = {}
        for name, waves in self._planes.items():
            plane = self._coded.planes[name]
            thin = plane.reshape(-1, 64).copy()
            thin.reshape(-1)[waves.at] = np.copysign(waves.levels(price), waves.signed)
            planes[name] = thin.reshape(plane.shape)
        return self._coded.written(planes)


class _Waves:
    """The AC levels other than zero of one plane's background."""

    def __init__(self, own: Any, exact: Any, ratio: Plane, depth: Plane) -> None:
        blocks = np.flatnonzero(depth)
        mine = own[blocks]
        row, wave = np.nonzero(mine[:, 1:])
        wave += 1
        block = blocks[row]
        self.at = block * 64 + wave
        self.signed = own[block, wave]
        self._own = np.abs(self.signed).astype(np.intp)
        # Where the first rounding went up to 1, the exact value may lie below a half.
        self._exact = np.abs(exact[block, wave] * ratio[wave])
        self._nearest = np.maximum(1, np.rint(self._exact)).astype(np.intp)
        energy = np.bincount(row, weights=self._exact**2, minlength=len(blocks))
        counts = ((energy + _HIDDEN_FROM) / _HIDDEN_FROM) ** -_HIDING
        weight = counts[row] * _SLOW[_DIAGONAL[wave]]
        self._price = (depth[block] / weight).astype(np.float32)
        self._wave = wave
        self._blocks = len(blocks)

    def levels(self, price: float) -> NDArray[np.int16]:
        """Of each, without its sign."""
        if price <= 0:
            return self._own.astype(np.int16)
        bit = price * self._price
        best = self._nearest
        for _ in range(_ROUNDS):
            rates = self._rates(best)
            level = best = self._nearest
            cost = self._cost(level, bit, rates)
            while level.any():
                level = (1 << np.maximum(_SIZE[level] - 1, 0)) - 1
                lower = self._cost(level, bit, rates)
                best = np.where(lower < cost, level, best)
                cost = np.minimum(lower, cost)
        return best.astype(np.int16)

    def _cost(self, level: Any, bit: Plane, rates: Plane) -> Plane:
        return (self._exact - level) ** 2 + bit * rates[self._wave * _SIZES + _SIZE[level]]

    def _rates(self, levels: Any) -> Plane:
        """Bits of each category at each place, (64 * 12) float32."""
        held = np.bincount(self._wave * _SIZES + _SIZE[levels], minlength=64 * _SIZES)
        held = held.reshape(64, _SIZES).astype(np.float32)
        held[:, 0] += self._blocks - held.sum(axis=1)
        held += _FEWEST
        bits = np.arange(_SIZES) - np.log2(held / held.sum(axis=1, keepdims=True))
        return bits.astype(np.float32).reshape(-1)


def _by_block(depth: Plane, shape: tuple[int, ...], luma: tuple[int, ...]) -> Plane:
    """The least depth of each block's pixels; a chroma block spans one, two or four of luma's."""
    rows, columns = shape[:2]
    down, across = 8 * max(1, round(luma[0] / rows)), 8 * max(1, round(luma[1] / columns))
    height, width = depth.shape
    bottom, right = max(0, rows * down - height), max(0, columns * across - width)
    whole: Any = cv2.copyMakeBorder(depth, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    blocks = whole[: rows * down, : columns * across].reshape(rows, down, columns, across)
    return blocks.min(axis=(1, 3))
