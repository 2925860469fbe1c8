"""Bytes at equal 10th-percentile quality, against peers run for real.

    python bench/encode.py FOLDER… [--sharp-dir bench/peers] [--json]

Each image is scaled to at most 1.3 MP. Every peer encodes the set at its own default quality; the
10th percentile of its SSIMULACRA2 scores is the promise pixfleet's adaptive encoder has to
match: its target is moved until both percentiles agree within 0.05, or as nearly as six runs allow.
Then the bytes of the whole set are compared, as the geometric mean over images and as a sum.
Peers in node: ``npm install --prefix bench/peers sharp``.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from pixfleet.workers.imaging.codec import Metadata, load
from pixfleet.workers.imaging.codecs import lossy_codecs
from pixfleet.workers.imaging.efforts import efforts_of
from pixfleet.workers.imaging.encode import Encoded, EncodeRequest, codec_versions, encode_variant
from pixfleet.workers.imaging.ssimulacra2 import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

MOST_PX = 1.3e6
PERCENTILE = 10
CLOSE = 0.05
RUNS = 6
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
SHARP_SCRIPT = Path(__file__).parent / "peers" / "sharp_encode.mjs"


@dataclass(frozen=True, slots=True)
class Picture:
    """One master, its reference for scoring peers, and its size."""

    name: str
    pixels: Pixels
    reference: Reference

    @property
    def megapixels(self) -> float:
        """Of the pixels."""
        return self.pixels.shape[0] * self.pixels.shape[1] / 1e6


@dataclass(frozen=True, slots=True)
class Fixed:
    """A peer at its fixed quality over the set."""

    name: str
    sizes: tuple[int, ...]
    p10: float
    mean: float
    cpu_ms_per_mp: float


@dataclass(frozen=True, slots=True)
class Adaptive:
    """pixfleet over the set at one target."""

    target: float
    sizes: tuple[int, ...]
    p10: float
    mean: float
    lowest_over_target: float
    reached: int
    cpu_ms_per_mp: float
    probes: float
    formats: dict[str, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One peer against one way of pixfleet."""

    peer: Fixed
    ours: str
    adaptive: Adaptive

    @property
    def saved(self) -> float:
        """Share of the peer's bytes, of the set's sum."""
        return 1 - sum(self.adaptive.sizes) / sum(self.peer.sizes)

    @property
    def saved_per_image(self) -> float:
        """Share of the peer's bytes, geometric mean over images."""
        ratios = np.array(self.adaptive.sizes) / np.array(self.peer.sizes)
        return 1 - float(np.exp(np.log(ratios).mean()))


def pictures(folders: Iterable[Path]) -> list[Picture]:
    found: list[Picture] = []
    for folder in folders:
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
            with Image.open(path) as opened:
                image = opened.convert("RGB")
            share = min(1.0, (MOST_PX / (image.width * image.height)) ** 0.5)
            if share < 1:
                size = (round(image.width * share), round(image.height * share))
                image = image.resize(size, Image.Resampling.LANCZOS)
            pixels = np.asarray(image)
            found.append(Picture(path.stem, pixels, Reference(pixels)))
    return found


def fixed(name: str, coded: Sequence[bytes], masters: Sequence[Picture], cpu_s: float) -> Fixed:
    scores = [one.reference.score(load(data)) for one, data in zip(masters, coded, strict=True)]
    return Fixed(
        name,
        tuple(map(len, coded)),
        float(np.percentile(scores, PERCENTILE)),
        float(np.mean(scores)),
        1e3 * cpu_s / sum(one.megapixels for one in masters),
    )


def pillow_peer(name: str, masters: Sequence[Picture], **options: Any) -> Fixed:
    def encode(pixels: Pixels) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=80, **options)
        return buffer.getvalue()

    start_s = time.process_time()
    coded = [encode(one.pixels) for one in masters]
    return fixed(name, coded, masters, time.process_time() - start_s)


def sharp_peers(masters: Sequence[Picture], sharp_dir: Path) -> list[Fixed]:
    node = shutil.which("node")
    if node is None:
        raise SystemExit("node is not on the PATH: leave out --sharp-dir, or install Node.js")
    peers: list[Fixed] = []
    with tempfile.TemporaryDirectory() as scratch:
        inputs = Path(scratch) / "in"
        inputs.mkdir()
        for number, one in enumerate(masters):
            Image.fromarray(one.pixels).save(inputs / f"{number:04}.png", compress_level=1)
        for format_name in ("jpeg", "webp", "avif"):
            outputs = Path(scratch) / format_name
            outputs.mkdir()
            run = subprocess.run(
                [node, SHARP_SCRIPT, sharp_dir, inputs, outputs, format_name],
                capture_output=True,
                text=True,
                check=True,
            )
            facts = json.loads(run.stdout)
            coded = [path.read_bytes() for path in sorted(outputs.iterdir())]
            name = f"sharp {facts['sharp']} {format_name}"
            peers.append(fixed(name, coded, masters, facts["cpu_s"]))
    return peers


def adaptive(masters: Sequence[Picture], formats: tuple[str, ...], target: float) -> Adaptive:
    request = EncodeRequest(formats, "best", target)
    made: list[Encoded] = []
    cpu_ms: list[float] = []
    for one in masters:
        start_s = time.process_time()
        result = encode_variant(one.pixels, request)[0]
        if not isinstance(result, Encoded):
            raise result.error
        made.append(result)
        cpu_ms.append(1e3 * (time.process_time() - start_s) / one.megapixels)
    scores = [one.score or 0.0 for one in made]
    names = [one.format for one in made]
    return Adaptive(
        target=target,
        sizes=tuple(len(one.data) for one in made),
        p10=float(np.percentile(scores, PERCENTILE)),
        mean=float(np.mean(scores)),
        lowest_over_target=min(scores) - target,
        reached=sum(one.reached for one in made),
        cpu_ms_per_mp=float(np.median(cpu_ms)),
        probes=float(np.mean([one.probes for one in made])),
        formats={name: names.count(name) for name in dict.fromkeys(names)},
    )


def matched(run: Callable[[float], Adaptive], p10: float) -> Adaptive:
    """The run whose 10th percentile is nearest the peer's, sought until within ``CLOSE``."""
    target = p10 + 0.2
    runs: list[Adaptive] = []
    for _ in range(RUNS):
        runs.append(run(round(target, 2)))
        off = p10 - runs[-1].p10
        if abs(off) <= CLOSE:
            break
        target += off
    return min(runs, key=lambda result: abs(result.p10 - p10))


def unit_costs(masters: Sequence[Picture]) -> tuple[float, float, float, float]:
    """Median ms/MP of a reference, a score, and one plain encode of JPEG and of AVIF.

    On a shared machine the figures of a run are read against the plain encodes of the same run.
    """
    plain = [lossy_codecs(name, efforts_of(name)[0], target=75)[0] for name in ("jpeg", "avif")]
    costs: list[NDArray[np.float64]] = []
    for one in masters:
        damaged = cv2.GaussianBlur(one.pixels, (3, 3), 0.5)
        marks = [time.process_time()]
        reference = Reference(one.pixels)
        marks.append(time.process_time())
        reference.score(np.asarray(damaged, np.uint8))
        marks.append(time.process_time())
        for codec, quality in zip(plain, (75, 60), strict=True):
            codec.encode(one.pixels, quality, Metadata())
            marks.append(time.process_time())
        costs.append(np.diff(marks) * 1e3 / one.megapixels)
    reference_ms, score_ms, jpeg_ms, avif_ms = np.median(costs, axis=0).tolist()
    return reference_ms, score_ms, jpeg_ms, avif_ms


def table(rows: Sequence[Row], costs: tuple[float, float, float, float], count: int) -> str:
    lines = [
        f"{count} images; {'; '.join(codec_versions().values())}",
        "",
        (
            "| peer at its default | p10 | mean | KB | CPU ms/MP | pixfleet | target | p10 | mean "
            "| lowest − target | KB | **smaller, per image** | in sum | CPU ms/MP | probes "
            "| chosen |"
        ),
        "|---|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        peer, ours = row.peer, row.adaptive
        chosen = ", ".join(f"{name} {number}" for name, number in ours.formats.items())
        lines.append(
            f"| {peer.name} | {peer.p10:.1f} | {peer.mean:.1f} | {sum(peer.sizes) / 1e3:.0f} "
            f"| {peer.cpu_ms_per_mp:.0f} | {row.ours} | {ours.target:.1f} | {ours.p10:.1f} "
            f"| {ours.mean:.1f} | {ours.lowest_over_target:+.2f} | {sum(ours.sizes) / 1e3:.0f} "
            f"| **{row.saved_per_image:.1%}** | {row.saved:.1%} | {ours.cpu_ms_per_mp:.0f} "
            f"| {ours.probes:.1f} | {chosen} |"
        )
    reference_ms, score_ms, jpeg_ms, avif_ms = costs
    figures = (
        f"SSIMULACRA2 reference {reference_ms:.0f} once, score {score_ms:.0f}; "
        f"one plain encode by jpegli {jpeg_ms:.0f}, by AVIF {avif_ms:.0f}"
    )
    lines += ["", f"ms/MP in the same run: {figures}."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Bytes at equal quality, against peers.")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--sharp-dir", type=Path, help="folder whose node_modules holds sharp")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    cv2.setNumThreads(1)
    masters = pictures(options.folders)
    peers = [
        pillow_peer("Pillow 80", masters),
        pillow_peer("thumbor-like", masters, optimize=True, progressive=True),
    ]
    if options.sharp_dir:
        peers += sharp_peers(masters, options.sharp_dir)
    ways = {
        "jpeg": ("jpeg",),
        "avif": ("avif",),
        "smallest of jpeg, webp, avif, jxl": ("jpeg", "webp", "avif", "jxl"),
    }
    rows: list[Row] = []
    for ours, formats in ways.items():
        # Peers of one quality share their runs.
        run = cache(partial(adaptive, tuple(masters), formats))
        for peer in peers:
            rows.append(Row(peer, ours, matched(run, peer.p10)))
            print(f"{peer.name} / {ours}: {rows[-1].saved_per_image:.1%}", file=sys.stderr)
    rows.sort(key=lambda row: [peer.name for peer in peers].index(row.peer.name))
    costs = unit_costs(masters)
    if options.json:
        facts = [
            {**asdict(row), "saved": row.saved, "saved_per_image": row.saved_per_image}
            for row in rows
        ]
        print(json.dumps({"images": len(masters), "rows": facts, "unit_ms_per_mp": costs}))
    else:
        print(table(rows, costs, len(masters)))


if __name__ == "__main__":
    main()
