"""Images a second of the whole fleet, against its own imaging in a plain loop and against peers.

    python bench/pipeline.py [PHOTOS] [--repeat 3] [--runs 3] [--json]
        [--sharp-dir bench/peers] [--thumbor-python PYTHON]

Every contender makes JPEGs of five widths of every JPEG in PHOTOS on two processes, started
and ready before the clock runs, and writes them to disk. pixfleet and its loop find for each file
the quality that keeps the recipe's promise (some three encodes and as many measurements); the peers
encode once at their default quality. The runs are interleaved; medians are shown, for the last
column of the ratios within each round, which hold on a busy machine. The folder is
repeated with copies that differ by a comment, so that neither the memo nor the end of a short
queue decides. Peers: ``npm install --prefix bench/peers sharp``; ``--thumbor-python`` names an
interpreter with thumbor, or one from which bench/.venv-thumbor is made.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from peers import thumbor as thumbor_peer
from pixfleet.config.contract import Floors
from pixfleet.config.recipes import load_recipe
from pixfleet.workers.imaging.decode import decode
from pixfleet.workers.imaging.encode import Encoded, EncodeRequest, codec_versions, encode_variant
from pixfleet.workers.imaging.geometry import Size, place
from pixfleet.workers.imaging.header import Limits, read_header
from pixfleet.workers.imaging.resize import pyramid

if TYPE_CHECKING:
    from collections.abc import Callable

    Contender = Callable[[Path, Path], "Measured"]

PROCESSES = 2
BENCH = Path(__file__).parent
RECIPE = BENCH / "recipes" / "jpeg5.toml"
SHARP_SCRIPT = BENCH / "peers" / "sharp_sizes.mjs"
FLEET, LOOP = "pixfleet run", "its imaging in a loop"
WIDTHS = tuple(spec.width or 0 for spec in load_recipe(str(RECIPE)).variants)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run over the whole folder; CPU is of the image work, without starting up."""

    wall_s: float
    cpu_s: float
    version: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One contender, medians over its runs."""

    name: str
    version: str
    images_per_s: float
    runs: list[float]
    """images/s of each run"""
    cpu_s_per_image: float
    bytes_out: int
    files: int
    fleet_over_it: float
    """images/s of the fleet over this one's, the median of the ratios within each round"""


def fleet(folder: Path, out: Path) -> Measured:
    command = [sys.executable, "-m", "pixfleet.producer.cli", "run", str(folder), "--json"]
    state = out.with_suffix(".state")
    options = [f"--out={out}", f"--recipe={RECIPE}", f"--workers={PROCESSES}", f"--state={state}"]
    done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    result = json.loads(done.stdout)
    if result["failed"] or result["memo_hits"]:
        raise RuntimeError(f"the fleet did not make all itself: {done.stdout}")
    for name in ("manifest", "report"):
        Path(result[name]).unlink()
    shutil.rmtree(state)
    return Measured(result["wall_s"], result["cpu_s"], codec_versions()["jpeg"])


def loop(folder: Path, out: Path) -> Measured:
    paths = sorted(folder.iterdir())
    with multiprocessing.get_context("spawn").Pool(PROCESSES, _one_thread) as pool:
        pool.map(_ready, range(PROCESSES), chunksize=1)
        start_s = time.monotonic()
        cpu_s = sum(pool.imap_unordered(partial(_make, out=out), paths))
        return Measured(time.monotonic() - start_s, cpu_s, codec_versions()["jpeg"])


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _ready(_: int) -> None:
    time.sleep(0.2)  # long enough that each process takes one


def _make(path: Path, out: Path) -> float:
    start_s = time.process_time()
    recipe = load_recipe(str(RECIPE))
    data = path.read_bytes()
    header = read_header(data, Limits())
    source = Size(header.width, header.height)
    placements = [place(source, width=width, height=None, fit="fit") for width in WIDTHS]
    largest = max((placement.size for placement in placements), key=lambda size: size.width)
    raster = decode(data, header, needed=largest)
    assert not isinstance(recipe.quality, Floors)
    request = EncodeRequest(("jpeg",), "each", recipe.quality, recipe.max_probes)
    folder = out / path.name
    folder.mkdir(parents=True)
    for index, pixels in pyramid(raster.pixels, placements, scale=raster.scale):
        (made,) = encode_variant(pixels, request)
        if not isinstance(made, Encoded):
            raise made.error
        (folder / f"w{WIDTHS[index]}.jpg").write_bytes(made.data)
    return time.process_time() - start_s


def sharp(node_modules: Path, folder: Path, out: Path) -> Measured:
    words = [str(SHARP_SCRIPT), str(node_modules), str(folder), str(out), str(PROCESSES)]
    command = ["node", *words, *map(str, WIDTHS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Measured(**json.loads(done.stdout))


def thumbor(python: str, folder: Path, out: Path) -> Measured:
    wall_s, cpu_s = thumbor_peer.make_sizes(python, folder, out, WIDTHS, PROCESSES)
    return Measured(wall_s, cpu_s, thumbor_peer.version(python))


def copies(photos: Path, folder: Path, repeat: int) -> int:
    """Distinct files with the same pixels: a comment segment (T.81, B.2.4.5) right after SOI."""
    folder.mkdir()
    sources = sorted(path for path in photos.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})
    for turn in range(repeat):
        text = f"copy {turn}".encode()
        segment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
        for number, path in enumerate(sources):
            data = path.read_bytes()
            (folder / f"{turn}-{number:03}.jpg").write_bytes(data[:2] + segment + data[2:])
    return len(sources) * repeat


def bench(contenders: dict[str, Contender], folder: Path, place: Path, runs: int) -> list[Row]:
    images = len(list(folder.iterdir()))
    measured: dict[str, list[Measured]] = {name: [] for name in contenders}
    written: dict[str, list[int]] = {}
    for turn in range(runs):
        for number, (name, contend) in enumerate(contenders.items()):
            out = place / f"out-{number}"
            measured[name].append(contend(folder, out))
            written[name] = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
            shutil.rmtree(out)
            print(f"run {turn + 1}, {name}: {measured[name][-1].wall_s:.2f} s", file=sys.stderr)
    return [
        Row(
            name=name,
            version=results[0].version,
            images_per_s=images / statistics.median(result.wall_s for result in results),
            runs=[round(images / result.wall_s, 3) for result in results],
            cpu_s_per_image=statistics.median(result.cpu_s for result in results) / images,
            bytes_out=sum(written[name]),
            files=len(written[name]),
            fleet_over_it=statistics.median(
                other.wall_s / own.wall_s
                for other, own in zip(results, measured[FLEET], strict=True)
            ),
        )
        for name, results in measured.items()
    ]


def table(rows: list[Row]) -> None:
    print("| contender | images/s | CPU s an image | files | bytes | pixfleet's images/s over it |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        name = f"{row.name} ({row.version})"
        print(
            f"| {name} | {row.images_per_s:.2f} | {row.cpu_s_per_image:.3f} | {row.files} "
            f"| {row.bytes_out:,} | {row.fleet_over_it:.2f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="?", type=Path, default=Path("samples"))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sharp-dir", type=Path, default=BENCH / "peers")
    parser.add_argument("--thumbor-python")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    contenders: dict[str, Contender] = {FLEET: fleet, LOOP: loop}
    if shutil.which("node") and (chosen.sharp_dir / "node_modules" / "sharp").is_dir():
        contenders["sharp"] = partial(sharp, chosen.sharp_dir)
    else:
        print("sharp is left out: see --help", file=sys.stderr)
    if chosen.thumbor_python:
        python = thumbor_peer.interpreter(chosen.thumbor_python)
        contenders["thumbor"] = partial(thumbor, python)
    else:
        print("thumbor is left out: see --help", file=sys.stderr)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "in"
        if not copies(chosen.photos, folder, chosen.repeat):
            sys.exit(f"no JPEG in {chosen.photos}")
        rows = bench(contenders, folder, Path(place), chosen.runs)
    if chosen.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        table(rows)


if __name__ == "__main__":
    main()
