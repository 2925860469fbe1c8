"""What one file goes through: a worker's first step, from the file to its derivatives."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import structlog

from pixfleet.config.contract import ImageJob, Recipe, VariantSpec
from pixfleet.workers.conclusion import begin
from pixfleet.workers.preparation import prepare_job

if TYPE_CHECKING:
    from pathlib import Path

    from pixfleet.workers.runtime import Runtime

RECIPE = Recipe(
    name="fuzz",
    quality=50,
    max_probes=2,
    variants=(
        VariantSpec(name="smart", width=40, height=30, fit="smart", formats=("jpeg",)),
        # Of the source's own format, so that its metadata are taken out as well.
        VariantSpec(name="fit", width=16, height=16, formats=("jpeg", "png", "webp")),
    ),
    features=(
        *("phash", "dhash", "colors", "sharpness", "entropy"),
        *("edges", "faces", "saliency", "thumbhash"),
    ),
    keep=("icc", "copyright"),
    max_cpu_s_per_mp=0,
)
ENVIRONMENT = {
    "PIXFLEET_MEMO_ENABLED": "false",
    "PIXFLEET_LIMITS_MAX_PIXELS": "4000000",
    "PIXFLEET_LIMITS_MAX_ANIMATION_PIXELS": "8000000",
    "PIXFLEET_LIMITS_MAX_FRAMES": "100",
}
"""Limits as a fleet of thumbnails would have them: what passes them is decoded within 1 s."""
UNFORESEEN = frozenset({"internal_error", "time_limit"})
"""Codes of what no translation caught."""


class Target:
    """Prepares file after file as a worker's child does."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self._runtime = runtime
        self._source = folder / "source"
        self._output = folder / "out"
        self._bugs: list[str] = []
        warnings.resetwarnings()  # a worker prints them, a test takes them for errors
        structlog.configure(processors=[structlog.processors.format_exc_info, self._keep])

    def __call__(self, data: bytes) -> tuple[str, str]:
        """The code that the file ends with, ``done`` or its first failure's, and why."""
        self._bugs.clear()
        self._source.write_bytes(data)
        job = ImageJob(source=str(self._source), output=str(self._output), recipe=RECIPE)
        draft = prepare_job(self._runtime, job, begin(f"fuzz-{os.getpid()}", job, 1), 1).draft
        if not draft.failures:
            return "done", ""
        first = draft.failures[0]
        return first.code, "\n".join([first.message, *self._bugs])

    def _keep(self, _logger: Any, _method: str, event: dict[str, Any]) -> str:
        if trace := event.get("exception"):
            self._bugs.append(trace)
        raise structlog.DropEvent
