"""Why a variant has the format and the effort it has: its candidates, and what each would cost."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pixfleet.producer.manifests import read_manifests
from pixfleet.producer.terminal import size

from .progress import usd
from .run import Order, run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from pixfleet.config.contract import Recipe
    from pixfleet.config.results import CandidateResult, Manifest, VariantResult
    from pixfleet.producer.ledger import BatchStatus

_MARKS: Final = {"chosen": ("✓", "green"), "failed": ("✗", "red"), "missed": ("✗", "red")}


def explained_afresh(source: str, recipe: Recipe, state: Path, workers: int) -> list[Manifest]:
    """The manifests of a run over ``source`` whose files are thrown away; the memo keeps them.

    Raises:
        SourceNotFoundError, RunFailedError: as ``run.run``.
    """
    with tempfile.TemporaryDirectory(prefix="pixfleet-explain-") as out:
        order = Order(
            source=source, out=out, recipe=recipe, workers=workers, tenant="default", state=state
        )
        result = run(order, time.monotonic(), _show_nothing)
        return read_manifests(Path(out) / result.summary.manifest)


def _show_nothing(status: BatchStatus, elapsed_s: float) -> None:
    """A run of one image is over before there is progress to show."""


def as_json(manifests: Iterable[Manifest]) -> list[dict[str, Any]]:
    """What ``--json`` prints: an object a variant."""
    fields = {
        "name",
        "format",
        "width",
        "height",
        "bytes",
        "target",
        "score",
        "encoder",
        "quality",
        "cpu_s",
        "lifetime",
        "candidates",
    }
    return [
        {"source": manifest.source, **variant.model_dump(mode="json", include=fields)}
        for manifest in manifests
        for variant in manifest.variants
    ]


def print_explanations(manifests: Iterable[Manifest]) -> None:
    """A table a variant on stdout, the chosen candidate first."""
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = 160  # a pipe has no width
    for manifest in manifests:
        for variant in manifest.variants:
            console.print(_heading(manifest, variant))
            console.print(_table(variant))
            console.print(Text(_why(variant)), end="\n\n")


def _heading(manifest: Manifest, variant: VariantResult) -> Text:
    name = Path(manifest.source).name
    score = "exact" if variant.score is None else f"{variant.score:.1f}"
    return Text.assemble(
        (f"{name}  {variant.name}.{variant.format}", "bold"),
        f"  {variant.width}×{variant.height}, target {variant.target:g}, score {score}",
    )


def _table(variant: VariantResult) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for column in ("candidate", "quality", "bytes", "score", "CPU s", "lifetime", "verdict"):
        right = column not in ("candidate", "verdict")
        table.add_column(column, justify="right" if right else "left", no_wrap=right)
    for candidate in variant.candidates:
        expected = "~" if candidate.score is None else ""
        mark, colour = _MARKS.get(candidate.verdict, (" ", "dim"))
        table.add_row(
            Text(mark, colour),
            f"{candidate.format} {candidate.effort}",
            "–" if candidate.quality is None else f"{candidate.quality:g}",
            "–" if candidate.bytes is None else f"{expected}{candidate.bytes:,}",
            "–" if candidate.score is None else f"{candidate.score:.1f}",
            f"{'~' if candidate.verdict == 'not tried' else ''}{candidate.cpu_s:.2f}",
            "–" if candidate.lifetime_usd is None else f"{expected}{_usd(candidate.lifetime_usd)}",
            _verdict(candidate),
        )
    return table


def _verdict(candidate: CandidateResult) -> str:
    return f"{candidate.verdict}: {candidate.reason}" if candidate.reason else candidate.verdict


def _why(variant: VariantResult) -> str:
    """The winner's lifetime, by cause."""
    life = variant.lifetime
    if life is None:
        return "made before lifetimes were recorded"
    parts = {
        f"compute of {variant.cpu_s:.2f} CPU s, all candidates included": life.compute_usd,
        "storing it": life.requests_usd,
        f"keeping it {life.retention_months:g} months": life.storage_usd,
        f"sending it {life.views:,.1f} times": life.egress_usd,
    }
    listed = ", ".join(f"{name} {_usd(cost)}" for name, cost in parts.items())
    return f"{size(variant.bytes)} cost {_usd(life.total_usd)} over the lifetime: {listed}."


def _usd(money: Decimal) -> str:
    return usd(money) if money >= 1 else f"${money:.9f}"
