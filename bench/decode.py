"""Decoding and five sizes from one JPEG: CPU, memory and fidelity against peers.

    python bench/decode.py [PHOTO_OR_FOLDER] [--rounds 5]

Prints a Markdown table. Fidelity is SSIMULACRA2 against Pillow's exact Lanczos reduction of the
full decode. All rows of a photo are interleaved in one run, so that their ratios hold on a busy
machine. Where no JPEG is as wide as the largest size, the widest is enlarged first. libvips needs
the package pyvips[binary]; without it its rows are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import multiprocessing
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from pixfleet.workers.imaging.decode import decode
from pixfleet.workers.imaging.geometry import Size, place
from pixfleet.workers.imaging.header import Limits, read_header
from pixfleet.workers.imaging.resize import pyramid
from pixfleet.workers.imaging.ssimulacra2 import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Method = Callable[[bytes], list[NDArray[np.uint8]]]

WIDTHS = (2048, 1600, 1024, 640, 320)
LANCZOS = Image.Resampling.LANCZOS


def ours(data: bytes) -> list[NDArray[np.uint8]]:
    header = read_header(data, Limits())
    source = Size(header.width, header.height)
    placements = [place(source, width=width, height=None, fit="fit") for width in WIDTHS]
    raster = decode(data, header, needed=placements[0].size)
    made = dict(pyramid(raster.pixels, placements, scale=raster.scale))
    return [made[index] for index in range(len(WIDTHS))]


def pillow_exact(data: bytes) -> list[NDArray[np.uint8]]:
    with Image.open(io.BytesIO(data)) as image:
        whole = image.convert("RGB")
    return [np.asarray(whole.resize(size, LANCZOS)) for size in sizes(whole.size)]


def pillow_draft(data: bytes) -> list[NDArray[np.uint8]]:
    with Image.open(io.BytesIO(data)) as image:
        wanted = sizes(image.size)
        image.draft("RGB", wanted[0])
        last = image.convert("RGB")
    results: list[NDArray[np.uint8]] = []
    for size in wanted:
        last = last.resize(size, LANCZOS, reducing_gap=2.0)
        results.append(np.asarray(last))
    return results


def simplejpeg_area(data: bytes) -> list[NDArray[np.uint8]]:
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    wanted = sizes((width, height))
    last: Any = simplejpeg.decode_jpeg(data, "RGB", min_width=wanted[0][0], min_height=wanted[0][1])
    results: list[NDArray[np.uint8]] = []
    for size in wanted:
        last = cv2.resize(last, size, interpolation=cv2.INTER_AREA)
        results.append(last)
    return results


def vips_each(data: bytes) -> list[NDArray[np.uint8]]:
    import pyvips  # noqa: PLC0415 (optional)  # pyright: ignore[reportMissingImports]

    thumbnail: Any = pyvips.Image.thumbnail_buffer
    return [thumbnail(data, width, size="down").numpy() for width in WIDTHS]


def vips_cascade(data: bytes) -> list[NDArray[np.uint8]]:
    import pyvips  # noqa: PLC0415 (optional)  # pyright: ignore[reportMissingImports]

    thumbnail: Any = pyvips.Image.thumbnail_buffer
    first = thumbnail(data, WIDTHS[0], size="down").copy_memory()
    rest = [first.thumbnail_image(width, size="down").numpy() for width in WIDTHS[1:]]
    return [first.numpy(), *rest]


def methods() -> dict[str, Method]:
    found: dict[str, Method] = {
        "pixfleet": ours,
        "simplejpeg scaled + area chain": simplejpeg_area,
        "Pillow draft + Lanczos chain": pillow_draft,
        "Pillow full Lanczos": pillow_exact,
    }
    if importlib.util.find_spec("pyvips"):
        found["libvips thumbnail, then from it"] = vips_cascade
        found["libvips thumbnail, each size"] = vips_each
    return found


def sizes(source: tuple[Any, Any]) -> list[tuple[int, int]]:
    width, height = map(int, source)
    return [(wide, max(1, round(height * wide / width))) for wide in WIDTHS if wide <= width]


def peak_mb(method: Method, data: bytes) -> float:
    """Peak memory of a fresh process that makes one call, libraries included."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_own_peak_mb, (method, data))


def _own_peak_mb(method: Method, data: bytes) -> float:
    # Not getrusage: its peak is inherited from the parent.
    method(data)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _score(reference: Reference, pixels: NDArray[np.uint8]) -> str:
    if pixels.shape[:2] != (reference.height, reference.width):
        return "other size"  # libvips rounds sides its own way
    return f"{reference.score(np.ascontiguousarray(pixels[..., :3])):.1f}"


def bench(data: bytes, rounds: int) -> None:
    references = [Reference(pixels) for pixels in pillow_exact(data)]
    height, width, _, sampling = simplejpeg.decode_jpeg_header(data)
    print(f"\n### {width} x {height} px, 4:{sampling[1]}:{sampling[2]}, {len(data) // 1000} kB\n")
    spent: dict[str, list[float]] = {name: [] for name in methods()}
    scores: dict[str, list[str]] = {}
    for turn in range(rounds):
        for name, method in methods().items():
            start = time.process_time()
            made = method(data)
            spent[name].append((time.process_time() - start) * 1000)
            if turn == 0:
                scores[name] = [
                    _score(reference, pixels)
                    for reference, pixels in zip(references, made, strict=True)
                ]
    own = statistics.median(spent["pixfleet"])
    print("| method | CPU ms, median | least | x pixfleet | process peak MB |", end="")
    print(" S2 at " + ", ".join(map(str, WIDTHS)) + " |")
    print("|---|---|---|---|---|---|")
    for name, times in spent.items():
        median = statistics.median(times)
        shown = ", ".join(scores[name])
        peak = peak_mb(methods()[name], data)
        print(
            f"| {name} | {median:.0f} | {min(times):.0f} | {median / own:.2f} | {peak:.0f} "
            f"| {shown} |"
        )


def _width(path: Path) -> int:
    with Image.open(path) as image:
        return image.width


def _enlarged(path: Path) -> bytes:
    print(f"no JPEG is {WIDTHS[0]} px wide: {path.name} is enlarged to twice that", file=sys.stderr)
    width = 2 * WIDTHS[0]
    with Image.open(path) as image:
        large = image.convert("RGB").resize((width, round(width * image.height / image.width)))
    buffer = io.BytesIO()
    large.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="?", type=Path, default=Path("samples"))
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    os.environ["VIPS_CONCURRENCY"] = "1"
    cv2.setNumThreads(1)
    if importlib.util.find_spec("pyvips"):
        import pyvips  # noqa: PLC0415 (optional)  # pyright: ignore[reportMissingImports]

        pyvips.cache_set_max(0)
    paths = sorted(chosen.source.glob("*.jpg")) if chosen.source.is_dir() else [chosen.source]
    if not paths:
        sys.exit(f"no JPEG in {chosen.source}")
    wide = [path.read_bytes() for path in paths if _width(path) >= WIDTHS[0]]
    for data in wide or [_enlarged(max(paths, key=_width))]:
        bench(data, chosen.rounds)


if __name__ == "__main__":
    main()
