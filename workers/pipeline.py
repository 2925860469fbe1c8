"""The way of a job: what is made where, and the canvas that carries it.

    prepare ──► (memo hit) ─────────────────────────────────────► finalize
       │  fetch, hash, check, decode once, features, cheap variants
       ├──► fused: every variant in the same task ──────────────► finalize
       └──► fanout: chord(encode, encode, …) ───────────────────► finalize
    the last job of a batch ──► summarize

In bulk work many images are in flight, and one task an image gives the best throughput. Where
somebody waits, or one image is large, its expensive encodes go to a chord so that several children
work on it. Steps never raise what is permanent: they return it as data, so a chord cannot lose the
manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from celery import Celery, chord

from pixfleet.config.contract import (
    TASK_ENCODE,
    TASK_FINALIZE,
    ImageJob,
    Recipe,
    VariantSpec,
)
from pixfleet.config.queues import ENCODE, INTERACTIVE
from pixfleet.config.results import Plan
from pixfleet.config.signature import seal

from .imaging.geometry import Placement, Size, place
from .runtime import runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery.canvas import Signature

    from .imaging.header import Header

_CPU_S_PER_MP: Final = {"jpeg": 0.2, "avif": 0.3, "webp": 0.4, "jxl": 0.3, "png": 0.4, "heic": 0.3}
"""Rough CPU seconds a megapixel of a searched encode (docs/benchmarks.md): enough to plan by."""
_EXPENSIVE_CPU_S: Final = 0.3
"""From here an encode is worth its share of a chord, some 5 ms of CPU and a parked raster."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One size that is to be made: what the recipe asks for and where its pixels come from."""

    spec: VariantSpec
    placement: Placement

    @property
    def cpu_s(self) -> float:
        """What encoding it will cost, roughly."""
        canvas = self.placement.canvas
        megapixels = canvas.width * canvas.height / 1e6
        return megapixels * sum(_CPU_S_PER_MP[name] for name in self.spec.formats)


def lay_out(
    recipe: Recipe, source: Size, focus: Callable[[VariantSpec], tuple[float, float]] | None = None
) -> tuple[list[Cut], dict[str, str]]:
    """The cuts of a recipe, largest first, and which variants need none of their own.

    A source smaller than the box is not enlarged, so several widths may come to the same pixels:
    the first keeps them, the others are named in the second answer.
    """
    cuts: list[Cut] = []
    same_as: dict[str, str] = {}
    seen: dict[Any, str] = {}
    for spec in recipe.variants:
        placement = place(
            source,
            width=spec.width,
            height=spec.height,
            fit=spec.fit,
            enlarge=spec.enlarge,
            focus=focus(spec) if focus and spec.fit == "smart" else None,
        )
        made = (placement, spec.formats, spec.pick, spec.quality)
        if made in seen:
            same_as[spec.name] = seen[made]
            continue
        seen[made] = spec.name
        cuts.append(Cut(spec, placement))
    cuts.sort(key=lambda cut: -cut.placement.canvas.width * cut.placement.canvas.height)
    return cuts, same_as


def plan(
    job: ImageJob,
    recipe: Recipe,
    header: Header,
    cuts: Sequence[Cut],
    fanout_pixels: int,
    *,
    in_one: bool = False,
) -> Plan:
    """Whether the job's encodes stay in one task, as they must ``in_one``, or fan out, and why."""
    expensive = sum(cut.cpu_s >= _EXPENSIVE_CPU_S for cut in cuts)
    if expensive < 2:  # noqa: PLR2004 (a chord of one member only adds messages)
        return Plan(execution="fused", reason=f"{expensive} expensive encodes: no chord pays")
    if header.frames > 1 and recipe.animation == "keep":
        return Plan(execution="fused", reason="animation: its frames stay in one process")
    if in_one:
        return Plan(execution="fused", reason="few workers have the memory it needs")
    wanted: Literal["fused", "fanout"]
    if recipe.execution != "auto":
        wanted, reason = recipe.execution, "the recipe says so"
    elif job.queue == INTERACTIVE:
        wanted, reason = "fanout", "interactive: somebody waits"
    elif header.width * header.height >= fanout_pixels:
        wanted, reason = "fanout", f"large: at least {fanout_pixels:,} px"
    else:
        wanted, reason = "fused", "bulk: one task an image gives the best throughput"
    return Plan(execution=wanted, reason=reason, members=expensive if wanted == "fanout" else 0)


def fans_out(layout: Plan, cut: Cut) -> bool:
    """Is the cut a chord member of its own?"""
    return layout.execution == "fanout" and cut.cpu_s >= _EXPENSIVE_CPU_S


def fan_out(
    app: Celery, members: Sequence[dict[str, Any]], finish: dict[str, Any], queue: str
) -> None:
    """Send the expensive encodes as a chord whose body is ``finalize``."""
    header = [_step(app, TASK_ENCODE, member, _queue(queue)) for member in members]
    chord(header, _step(app, TASK_FINALIZE, finish, _queue(queue))).apply_async()


def _step(app: Celery, task: str, message: dict[str, Any], queue: str) -> Signature[Any]:
    sealed = seal(runtime().settings.signing.keys, task, "", message)
    return app.signature(task, args=[sealed], queue=queue)


def _queue(queue: str) -> str:
    # Interactive work stays where it is preferred; of bulk work, what was begun is finished first.
    return INTERACTIVE if queue == INTERACTIVE else ENCODE
