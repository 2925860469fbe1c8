"""The stream of jobs of a storm: small, of many kinds, the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pixfleet.producer import ImageJob, Recipe, VariantSpec
from tests.chaos import pictures
from tests.chaos.aws import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_THUMBS: Final = Recipe(
    name="thumbs",
    max_probes=2,
    objective="fastest",
    quality=60,
    variants=(
        VariantSpec(name="s", width=64, formats=("jpeg", "webp")),
        VariantSpec(name="m", width=128, formats=("jpeg",)),
    ),
    features=("phash",),
)
_WIDE: Final = Recipe(
    name="wide",
    max_probes=2,
    objective="fastest",
    quality=40,
    execution="fanout",
    variants=tuple(
        VariantSpec(name=f"w{width}", width=width, formats=("jpeg",), enlarge=True)
        for width in (1500, 1480)
    ),
)
_SLOW: Final = Recipe(
    name="slow",
    max_probes=2,
    objective="fastest",
    variants=(VariantSpec(name="v", width=64, formats=("jpeg",)),),
)
_KINDS: Final = {
    "plain": 44,
    "again": 10,
    "bucket": 12,
    "small disk": 8,
    "bad": 6,
    "fanned out": 5,
    "same key": 4,
    "slow": 11,
}
_TENANTS: Final = ("acme", "birch", "coral")
_BATCH: Final = 25
_BATCHED: Final = 0.4
"""Share of the plain jobs."""
_UNREADABLE: Final = frozenset({"image_truncated", "unsupported_format"})
_MISHAPS: Final = frozenset({"worker_lost", "encoder_crashed", "attempts_exhausted"})
"""What a job that was killed again and again may end in."""


@dataclass(frozen=True, slots=True)
class Task:
    """A job to be submitted, and what may become of it."""

    job: ImageJob
    kind: str
    codes: frozenset[str]
    """of failures that the storm may bring it; of a bad image those that it must end in"""


class Work:
    """``jobs`` tasks below ``folder``; for a bucket or a small disk only where there is one."""

    def __init__(
        self, seed: int, jobs: int, folder: Path, *, disk: Path | None, bucket: bool
    ) -> None:
        self._rng = random.Random(f"work {seed}")
        self._jobs = jobs
        self._folder = folder
        self._disk = disk
        without = {"small disk"} if disk is None else set()
        without |= set() if bucket else {"bucket"}
        self._kinds = {kind: share for kind, share in _KINDS.items() if kind not in without}
        self._earlier: list[ImageJob] = []
        self._keyed: list[ImageJob] = []
        self.folder_out = folder / "out"
        self.batches: dict[str, str] = {}
        """each one's output; jobs are still added to the last"""
        self._batch_left = 0
        (folder / "in").mkdir(parents=True)

    def __iter__(self) -> Iterator[Task]:
        # The first of each kind in turn, so that no kind depends on luck.
        order = list(self._kinds)
        for number in range(self._jobs):
            kind = (
                order[number]
                if number < len(order)
                else self._rng.choices(order, list(self._kinds.values()))[0]
            )
            yield self._task(number, kind)

    def _task(self, number: int, kind: str) -> Task:
        rng = self._rng
        if kind == "same key" and self._keyed:
            return Task(rng.choice(self._keyed), kind, _MISHAPS)
        source, recipe, codes = self._source(number, kind)
        fields: dict[str, Any] = {"queue": "bulk", "output": str(self.folder_out)}
        if kind == "fanned out" or rng.random() < 0.1:
            fields["queue"] = rng.choice(("interactive", "bulk"))
        if kind == "small disk":
            fields["output"] = str(self._disk)
            codes |= {"output_disk_full"}
        elif kind == "bucket":
            fields["output"] = f"s3://{BUCKET}/out"
            codes |= {"store_unavailable"}
        if kind in {"plain", "bad", "slow"} and rng.random() < _BATCHED:
            fields |= self._batched(number)
        job = ImageJob(
            source=str(source),
            recipe=recipe,
            name=f"{number:05d}",
            tenant=rng.choice(_TENANTS),
            idempotency_key=f"job {number}",
            **fields,
        )
        if kind == "plain":
            self._earlier.append(job)
            if not job.batch:
                self._keyed.append(job)
        return Task(job, kind, frozenset(codes))

    def _batched(self, number: int) -> dict[str, str]:
        if not self._batch_left:
            self._batch_left = _BATCH
            name = f"batch-{number}"
            self.batches[name] = str(self._folder / "batches" / name)
        self._batch_left -= 1
        name, output = list(self.batches.items())[-1]
        return {"batch": name, "output": output}

    def _source(self, number: int, kind: str) -> tuple[Path, Recipe, frozenset[str]]:
        rng = self._rng
        if kind == "again" and self._earlier:
            earlier = rng.choice(self._earlier)
            return earlier.source, earlier.recipe, _MISHAPS
        file = self._folder / "in" / f"{number:05d}"
        if kind == "bad":
            file.write_bytes(pictures.photo(rng)[:2000] if rng.random() < 0.5 else b"no image")
            return file, _THUMBS, _UNREADABLE
        if kind == "slow":
            file.write_bytes(pictures.slow(rng, rng.uniform(0.8, 3)))
            return file, _SLOW, _MISHAPS
        file.write_bytes(pictures.photo(rng))
        return file, _WIDE if kind == "fanned out" else _THUMBS, _MISHAPS
