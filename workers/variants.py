"""From pixels to files: encode one cut, remember it, write it to the job's output."""

from __future__ import annotations

import hashlib
import io
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from pixfleet.config import contract
from pixfleet.config.contract import SUFFIXES, ImageJob, Recipe, VariantSpec
from pixfleet.config.results import Failure, Part, VariantResult

from .failures import failure_of
from .fleet.memory import own_budget
from .imaging.animation import encode_animation
from .imaging.candidate import Abandoned
from .imaging.color import rgb_of
from .imaging.efforts import effort_label
from .imaging.encode import (
    Considered,
    Encoded,
    EncodeRequest,
    FormatFailure,
    Goal,
    Lessons,
    SourceBytes,
    codec_versions,
    encode_variant,
)
from .imaging.exif import copyright_exif
from .imaging.metadata import stripped
from .imaging.requantise import requantiser
from .memo.memo import Memo, MemoEntry, MemoValue
from .promise import target_and_floors
from .sight import detector
from .spend.lifetime import Lifetime, price_book

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray

    from .fleet.trials import Trials
    from .imaging.animation import Frame
    from .intake import Intake
    from .runtime import Runtime
    from .spend.meter import Meter

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parked:
    """Pixels on their way to a chord member, with what encoding them needs."""

    pixels: NDArray[np.uint8]
    icc: bytes | None
    exif: bytes | None
    source: SourceBytes | None

    def pack(self) -> bytes:
        """As an ``.npz`` file; nothing in it is pickled."""
        source = self.source or SourceBytes("", b"", 0, 0)
        buffer = io.BytesIO()
        np.savez(
            buffer,
            pixels=self.pixels,
            icc=np.frombuffer(self.icc or b"", np.uint8),
            exif=np.frombuffer(self.exif or b"", np.uint8),
            source=np.frombuffer(source.data, np.uint8),
            source_is=np.array([source.format, source.width, source.height], dtype="U16"),
        )
        return buffer.getvalue()

    @classmethod
    def unpack(cls, data: bytes) -> Parked:
        """The reverse of :meth:`pack`."""
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            name, width, height = (str(part) for part in file["source_is"])
            source = SourceBytes(name, file["source"].tobytes(), int(width), int(height))
            return cls(
                pixels=file["pixels"],
                icc=file["icc"].tobytes() or None,
                exif=file["exif"].tobytes() or None,
                source=source if name else None,
            )


def park(intake: Intake, spec: VariantSpec, icc: bytes | None, pixels: NDArray[np.uint8]) -> Parked:
    """The cut's pixels with the metadata to keep and, where it may be kept, the source itself."""
    keep = frozenset(intake.recipe.keep)
    header = intake.header
    source = None
    if spec.fit in ("fit", "cover") and header.format in spec.formats:
        data = stripped(intake.data, header, keep)
        if data is not None:
            source = SourceBytes(header.format, data, header.width, header.height)
    exif = copyright_exif(header.copyright) if "copyright" in keep else None
    return Parked(pixels, icc, exif, source)


def variant_key(sha256: str, recipe: Recipe, spec: VariantSpec, goal: Goal) -> str:
    """The memo key of one cut: content, operation, parameters, goal, versions of its codecs."""
    versions = codec_versions()
    settings = recipe.model_dump(
        mode="json",
        include={
            "max_probes",
            "keep",
            "animation",
            "background",
            "linear_light",
        },
    )
    return Memo.key(
        "variant",
        sha256,
        spec.model_dump(mode="json", exclude={"name", "optional"}),
        _promise(spec.quality or recipe.quality),
        settings,
        asdict(goal),
        {name: versions[name] for name in spec.formats},
    )


def _promise(quality: float | contract.Floors) -> Any:
    """A target as part of a memo key: with two floors, what finds and treats the regions counts."""
    if isinstance(quality, contract.Floors):
        return [quality.model_dump(mode="json"), detector(), requantiser()]
    return quality


class _NotWhole(Exception):  # noqa: N818 (carries a part out of a computation, not an error)
    """Some format failed, or was lost on the way: the part counts, and is not remembered."""

    def __init__(self, entry: MemoValue, failures: tuple[Failure, ...]) -> None:
        super().__init__()
        self.entry = entry
        self.failures = failures


class VariantMaker:
    """Makes the cuts of one job: from the memo where it can, else by encoding.

    Later cuts are searched from what earlier ones learned (``imaging.lessons``).
    """

    def __init__(
        self,
        runtime: Runtime,
        job: ImageJob,
        recipe: Recipe,
        sha256: str,
        meter: Meter,
        *,
        trials: Trials,
    ) -> None:
        self._memo = runtime.memo if runtime.settings.memo.enabled else None
        self._job = job
        self._recipe = recipe
        self._sha256 = sha256
        self._meter = meter
        self._output = runtime.output(job, meter)
        self._trials = trials
        budget, most = own_budget(), runtime.settings.limits.max_encoder_bytes
        self._max_encoder_bytes = most if budget is None else min(most, budget)
        self._lessons = Lessons()
        self._efforts = runtime.efforts
        self._prices, self._cpu_second_usd = runtime.prices, meter.cpu_second_usd
        if recipe.price_book:
            self._prices, self._cpu_second_usd = price_book(recipe.price_book)

    def remembered(self, spec: VariantSpec) -> Part | None:
        """The cut from the memo, written to the output; None: it has to be made."""
        if self._memo is None:
            return None
        with self._meter.stage("memo", spec.name) as passage:
            entry = self._memo.get(self._key(spec))
            passage.memo_hit = entry is not None
        return self._recalled(entry, spec) if entry else None

    def make(self, spec: VariantSpec, parked: Parked) -> Part:
        """Encode a still cut, unless another worker is at it: then take its result."""
        return self._once(
            spec,
            lambda request: encode_variant(parked.pixels, request, self._lessons),
            self._request(spec, parked, frames=1),
            _pixels(parked, 1),
        )

    def animate(
        self, spec: VariantSpec, frames: Sequence[Frame], loop: int, parked: Parked
    ) -> Part:
        """Encode an animated cut."""
        request = self._request(spec, parked, frames=len(frames))
        pixels = _pixels(parked, len(frames))
        return self._once(spec, partial(encode_animation, frames, loop), request, pixels)

    def _once(
        self,
        spec: VariantSpec,
        encode: Callable[[EncodeRequest], list[Encoded | FormatFailure]],
        request: EncodeRequest,
        pixels: int,
    ) -> Part:
        def compute() -> MemoValue:
            start_s = time.process_time()
            with self._meter.stage("encode", spec.name) as passage:
                passage.pixels = pixels
                answers = encode(request)
                passage.bytes = sum(len(one.data) for one in answers if isinstance(one, Encoded))
            cpu_s = time.process_time() - start_s
            failures = tuple(
                _failure(answer, spec) for answer in answers if isinstance(answer, FormatFailure)
            )
            made = [answer for answer in answers if isinstance(answer, Encoded)]
            self._efforts.learn(seen for encoded in made for seen in encoded.seen)
            entry = MemoValue(
                meta={"made": [_meta(encoded, spec) for encoded in made]},
                blobs=[encoded.data for encoded in made],
                cost_usd=self._meter.cpu_cost(cpu_s),
                cpu_s=cpu_s,
            )
            if failures or any(encoded.passed_over for encoded in made):
                raise _NotWhole(entry, failures)
            return entry

        try:
            if self._memo is None:
                return self._written(compute(), spec)
            entry, hit = self._memo.once(self._key(spec), compute)
        except _NotWhole as part:
            return self._written(part.entry, spec, part.failures)
        return self._recalled(entry, spec) if hit else self._written(entry, spec)

    def _request(self, spec: VariantSpec, parked: Parked, *, frames: int) -> EncodeRequest:
        recipe = self._recipe
        target, floors = target_and_floors(spec.quality or recipe.quality)
        return EncodeRequest(
            formats=spec.formats,
            pick=spec.pick,
            target=target,
            max_probes=recipe.max_probes,
            goal=self._lifetime(spec).goal(recipe),
            curves=self._efforts.curves(),
            background=rgb_of(recipe.background),
            icc=parked.icc,
            exif=parked.exif,
            source=parked.source,
            max_bytes=spec.max_bytes,
            floors=floors,
            max_encoder_bytes=self._max_encoder_bytes,
            watch=lambda name: self._attempt(spec.name, name, _pixels(parked, frames)),
        )

    @contextmanager
    def _attempt(self, variant: str, image_format: str, pixels: int) -> Generator[None]:
        """One format's encoding is a passage of its own, on record and under a time limit."""
        with self._meter.stage("encode", f"{variant}.{SUFFIXES[image_format]}") as passage:
            passage.pixels, passage.format = pixels, image_format
            try:
                with self._trials.attempt(variant, image_format, pixels):
                    yield
            except Abandoned:
                passage.given_up = True
                raise

    def _lifetime(self, spec: VariantSpec) -> Lifetime:
        return Lifetime.of(self._recipe, spec, self._prices, self._cpu_second_usd)

    def _key(self, spec: VariantSpec) -> str:
        goal = self._lifetime(spec).goal(self._recipe)
        return variant_key(self._sha256, self._recipe, spec, goal)

    def _recalled(self, entry: MemoEntry | MemoValue, spec: VariantSpec) -> Part:
        self._meter.saved(entry.cost_usd, entry.cpu_s)
        return self._written(entry, spec, memo=True)

    def _written(
        self,
        entry: MemoEntry | MemoValue,
        spec: VariantSpec,
        failures: tuple[Failure, ...] = (),
        *,
        memo: bool = False,
    ) -> Part:
        results: list[VariantResult] = []
        lifetime = self._lifetime(spec)
        with self._meter.stage("store", spec.name) as passage:
            passage.memo_hit = memo or None
            for meta, data in zip(entry.meta["made"], entry.blobs, strict=True):
                path = f"{self._job.output_name}/{spec.name}.{SUFFIXES[meta['format']]}"
                self._output.put(path, data)
                self._meter.bytes_out(len(data))
                passage.bytes += len(data)
                results.append(
                    VariantResult.model_validate(
                        {
                            **meta,
                            "name": spec.name,
                            "path": path,
                            "memo": memo,
                            "lifetime": lifetime.cost(meta["format"], meta["bytes"], meta["cpu_s"]),
                            "candidates": [
                                _priced(candidate, lifetime) for candidate in meta["candidates"]
                            ],
                        }
                    )
                )
        return Part(variants=tuple(results), failures=failures)


def _pixels(parked: Parked, frames: int) -> int:
    height, width = parked.pixels.shape[:2]
    return height * width * frames


def _failure(answer: FormatFailure, spec: VariantSpec) -> Failure:
    variant = f"{spec.name}.{SUFFIXES[answer.format]}"
    if answer.error.__cause__ is not None:
        _log.warning("encoder.failed", variant=variant, exc_info=answer.error)
    return failure_of(answer.error, variant)


def _meta(encoded: Encoded, spec: VariantSpec) -> dict[str, Any]:
    return {
        "format": encoded.format,
        "width": encoded.width,
        "height": encoded.height,
        "bytes": len(encoded.data),
        "sha256": hashlib.sha256(encoded.data).hexdigest(),
        "frames": encoded.frames,
        "quality": encoded.quality,
        "metric": encoded.metric,
        "target": encoded.target,
        "score": encoded.score,
        "reached": encoded.reached,
        "probes": encoded.probes,
        "encoder": encoded.encoder,
        "cpu_s": round(encoded.cpu_s, 4),
        "kept_source": encoded.kept_source,
        "candidates": [_candidate(one) for one in encoded.considered],
        "floors": encoded.floors and asdict(encoded.floors),
        "passed_over": [_failure(one, spec).model_dump(mode="json") for one in encoded.passed_over],
        "notes": encoded.notes,
    }


def _candidate(considered: Considered) -> dict[str, Any]:
    fields = asdict(considered)
    fields["bytes"] = fields.pop("size")
    fields["cpu_s"] = round(considered.cpu_s, 4)
    return fields


def _priced(candidate: dict[str, Any], lifetime: Lifetime) -> dict[str, Any]:
    name, size = candidate["format"], candidate["bytes"]
    cost = None if size is None else lifetime.cost(name, size, candidate["cpu_s"]).total_usd
    return {
        **candidate,
        "effort": effort_label(name, candidate["effort"]),
        "lifetime_usd": cost,
    }
