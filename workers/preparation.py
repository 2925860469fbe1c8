"""From a job's message to its variants, or to the parked pixels that a chord encodes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pixfleet.config.results import Failure, Manifest, Part, Plan

from .errors import OversizeError, PermanentError, RetryableError
from .failures import failure_of
from .fleet.memory import own_budget
from .fleet.owner import owner_name
from .imaging.animation import Frame, alike
from .imaging.color import flatten, rgb_of
from .imaging.decode import Raster, decode
from .imaging.faces import FacesUnavailableError, find_faces
from .imaging.features import LONGEST_PX, working_copy
from .imaging.frames import decode_frames, loop_count
from .imaging.geometry import Size
from .imaging.resize import pyramid, resize
from .imaging.saliency import best_window, saliency
from .imaging.sniff import sniff
from .intake import Intake, fetch, inspect, limits_of, recipe_of
from .need import check_need, needed_bytes
from .pipeline import Cut, fans_out, lay_out, plan
from .recall import recall
from .sight import see
from .steps import Steps
from .storage.leftovers import WORK
from .thrift import thrifty
from .variants import Parked, VariantMaker, park

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pixfleet.config.contract import ImageJob, Recipe, VariantSpec

    from .runtime import Runtime
    from .spend.meter import Meter


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the first step leaves behind."""

    job: ImageJob
    """with its recipe resolved, so that later steps cannot read another"""
    draft: Manifest
    members: tuple[str, ...] = ()
    """variants whose pixels are parked for a chord"""


def prepare_job(
    runtime: Runtime,
    job: ImageJob,
    draft: Manifest,
    fence: int,
    *,
    whatever_it_needs: bool = False,
    thrifty: bool = False,
) -> Prepared:
    """Fetch, check and decode the source, make what is cheap, park what fans out.

    ``whatever_it_needs``: try it, however much memory that takes, and all of it in this process.
    ``thrifty``: with the least effort, and without optional variants, unless they are remembered.

    What fails for good, and what nobody foresaw, is in the draft's failures.

    Raises:
        RetryableError: the store was unavailable.
        OversizeError: this process may not map what the job needs; another's may.
    """
    return _Preparation(
        runtime, job, draft, fence, whatever_it_needs=whatever_it_needs, thrifty=thrifty
    ).run()


def encode_member(
    runtime: Runtime, job: ImageJob, run: tuple[str, int], sha256: str, variant: str
) -> Part:
    """Encode one variant that a run of the job, named by id and fence, has parked.

    Raises:
        RetryableError: the store was unavailable.
        SourceError: its parked pixels are gone.
    """
    meter = runtime.meter(owner_name())
    recipe = recipe_of(job, runtime.settings.recipes.folder)
    spec = next(spec for spec in recipe.variants if spec.name == variant)
    with meter.stage("fetch", variant) as passage:
        packed = runtime.store.get(_parking(run, variant))
        passage.bytes = len(packed)
        parked = Parked.unpack(packed)
    try:
        maker = VariantMaker(runtime, job, recipe, sha256, meter, trials=runtime.trials(run[0]))
        part = maker.make(spec, parked)
    except PermanentError as error:
        part = Part(failures=(failure_of(error, variant),))
    return part.model_copy(update={"receipt": meter.receipt()})


def clear_parked(runtime: Runtime, job_id: str, fence: int) -> None:
    """Delete what this run of the job and earlier ones have parked; a later one needs its own.

    Raises:
        StoreUnavailableError: the store did not answer.
    """
    below = f"{WORK}/{job_id}/"
    for key, _ in list(runtime.store.list(below)):
        if int(key.removeprefix(below).partition("/")[0]) <= fence:
            runtime.store.delete(key)


def _parking(run: tuple[str, int], variant: str) -> str:
    job_id, fence = run
    return f"{WORK}/{job_id}/{fence}/{variant}.npz"


class _Preparation:
    """One run of the first step; what is known grows as it goes."""

    def __init__(
        self,
        runtime: Runtime,
        job: ImageJob,
        draft: Manifest,
        fence: int,
        *,
        whatever_it_needs: bool,
        thrifty: bool,
    ) -> None:
        self._whatever_it_needs = whatever_it_needs
        self._thrifty = thrifty
        self._runtime = runtime
        self._job = job
        self._draft = draft
        self._run = (draft.job_id, fence)
        self._meter: Meter = runtime.meter()
        self._trials = runtime.trials(draft.job_id)
        self._steps = Steps(self._trials, self._meter, job.source)
        self._known: dict[str, Any] = {}
        self._parts: list[Part] = []
        self._members: list[str] = []

    def run(self) -> Prepared:
        failures: tuple[Failure, ...] = ()
        try:
            self._work()
        except RetryableError as error:
            error.in_vain = self._meter.receipt()
            raise
        except OversizeError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, the job ends with a reason)
            failures = (failure_of(error),)
        draft = self._draft.model_copy(
            update={
                **self._known,
                "variants": tuple(v for part in self._parts for v in part.variants),
                "failures": (*failures, *(f for part in self._parts for f in part.failures)),
                "receipt": self._meter.receipt(),
            }
        )
        return Prepared(self._job, draft, tuple(self._members))

    def _work(self) -> None:
        runtime, limits = self._runtime, self._runtime.settings.limits
        recipe = recipe_of(self._job, runtime.settings.recipes.folder)
        self._job = self._job.model_copy(update={"recipe": recipe})
        data, sha256 = fetch(self._job, runtime.settings, self._meter)
        self._known |= {"sha256": sha256, "bytes": len(data)}
        if runtime.settings.memo.enabled:
            recalled = recall(runtime, self._job, recipe, sha256, self._meter)
            if recalled:
                self._known |= recalled.known
                self._parts.append(recalled.part)
                return
        notes: tuple[str, ...] = ()
        if self._thrifty:
            recipe, notes = thrifty(recipe)
            self._job = self._job.model_copy(update={"recipe": recipe})
        with self._steps.inspect(sniff(data)):
            header = inspect(data, recipe, limits)
        self._steps.found(header)
        self._known |= {
            "format": header.format,
            "width": header.width,
            "height": header.height,
            "notes": (*notes, *header.notes),
        }
        self._make(Intake(self._job, recipe, data, sha256, header))

    def _make(self, intake: Intake) -> None:
        recipe, header = intake.recipe, intake.header
        maker = VariantMaker(
            self._runtime, self._job, recipe, intake.sha256, self._meter, trials=self._trials
        )
        cuts, same_as = lay_out(recipe, Size(header.width, header.height))
        self._known["same_as"] = same_as
        missing: list[Cut] = []
        for cut in cuts:
            part = maker.remembered(cut.spec)
            if part:
                self._parts.append(part)
            else:
                missing.append(cut)
        limits = self._runtime.settings.limits
        if not self._whatever_it_needs:
            check_need(needed_bytes(intake, missing, limits), own_budget())
        layout = plan(
            self._job,
            recipe,
            header,
            missing,
            limits.fanout_pixels,
            in_one=self._whatever_it_needs,
        )
        self._known["plan"] = layout
        raster = self._look(intake, missing)
        if not raster or not missing:
            return
        if intake.animated:
            self._animate(intake, maker, missing, raster)
            return
        with self._steps.features():
            placed = _focussed(intake, missing, raster)
        sizes = self._resized(recipe, placed, raster)
        icc = raster.icc
        del raster  # it is the largest piece of memory, and encoding needs as much again
        self._encode(intake, maker, layout, placed, icc=icc, sizes=sizes)

    def _look(self, intake: Intake, missing: Sequence[Cut]) -> Raster | None:
        """Decode once for all that is missing, and see the features on the way."""

        def decoded() -> Raster:
            with self._steps.decode():
                return decode(
                    intake.data,
                    intake.header,
                    needed=_needed(intake, missing),
                    keep_icc="icc" in intake.recipe.keep,
                )

        raster = decoded() if missing else None
        features = see(self._runtime, intake, raster or decoded, self._meter, self._steps)
        self._known["features"] = features
        return raster

    def _resized(
        self, recipe: Recipe, cuts: Sequence[Cut], raster: Raster
    ) -> list[tuple[int, NDArray[np.uint8]]]:
        """Each cut's place among the cuts and its pixels, the largest first."""
        with self._steps.resize():
            sizes = pyramid(
                raster.pixels,
                [cut.placement for cut in cuts],
                scale=raster.scale,
                background=rgb_of(recipe.background),
                linear_light=recipe.linear_light,
            )
            return list(sizes)

    def _encode(
        self,
        intake: Intake,
        maker: VariantMaker,
        layout: Plan,
        cuts: Sequence[Cut],
        *,
        icc: bytes | None,
        sizes: list[tuple[int, NDArray[np.uint8]]],
    ) -> None:
        while sizes:
            # The smallest first: when the largest takes the most memory, the others are gone.
            index, pixels = sizes.pop()
            cut = cuts[index]
            parked = park(intake, cut.spec, icc, pixels)
            if fans_out(layout, cut):
                with self._meter.stage("store", cut.spec.name) as passage:
                    key, packed = _parking(self._run, cut.spec.name), parked.pack()
                    passage.bytes = len(packed)
                    self._runtime.store.put(key, packed)
                self._members.insert(0, cut.spec.name)
            else:
                self._parts.append(_made(cut.spec, partial(maker.make, cut.spec, parked)))

    def _animate(
        self, intake: Intake, maker: VariantMaker, cuts: Sequence[Cut], raster: Raster
    ) -> None:
        """Every frame is decoded once for all sizes, and resized as it comes."""
        frames: dict[str, list[Frame]] = {cut.spec.name: [] for cut in cuts}
        with self._steps.decode():
            decoded = decode_frames(
                intake.data,
                intake.header,
                needed=_needed(intake, cuts),
                limits=limits_of(self._runtime.settings.limits),
            )
            for frame in decoded:
                for cut in cuts:
                    pixels = resize(
                        frame.pixels,
                        cut.placement,
                        scale=frame.scale,
                        background=rgb_of(intake.recipe.background),
                        linear_light=intake.recipe.linear_light,
                    )
                    frames[cut.spec.name].append(Frame(pixels, frame.duration_ms))
            loop = loop_count(intake.data, intake.header)
        for cut in cuts:
            own = alike(frames.pop(cut.spec.name))
            parked = park(intake, cut.spec, raster.icc, own[0].pixels)
            animate = partial(maker.animate, cut.spec, own, loop, parked)
            self._parts.append(_made(cut.spec, animate))


def _made(spec: VariantSpec, make: Callable[[], Part]) -> Part:
    try:
        return make()
    except PermanentError as error:
        return Part(failures=(failure_of(error, spec.name),))


def _needed(intake: Intake, cuts: Sequence[Cut]) -> Size:
    """The size of the whole source in the most demanding cut; enough for the features if none."""
    header = intake.header
    scale = max(
        (cut.placement.scale for cut in cuts),
        default=LONGEST_PX / max(header.width, header.height),
    )
    scale = min(scale, 1.0)
    return Size(math.ceil(header.width * scale), math.ceil(header.height * scale))


def _focussed(intake: Intake, cuts: Sequence[Cut], raster: Raster) -> list[Cut]:
    """The cuts with smart windows moved to where the image is salient."""
    if not any(cut.spec.fit == "smart" for cut in cuts):
        return list(cuts)
    small = working_copy(raster.pixels)
    try:
        faces = find_faces(flatten(small, rgb_of(intake.recipe.background)))
    except FacesUnavailableError:
        faces = []
    seen = saliency(small, faces)
    size = Size(intake.header.width, intake.header.height)
    placed, _ = lay_out(
        intake.recipe,
        size,
        lambda spec: best_window(seen, size, Size(spec.width or 1, spec.height or 1)),
    )
    wanted = {cut.spec.name for cut in cuts}
    return [cut for cut in placed if cut.spec.name in wanted]
