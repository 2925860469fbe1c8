"""A batch on its way into the report: manifests folded into lines of JSON and into sums."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pixfleet.config.contract import SUFFIXES
from pixfleet.producer.picture import percent_encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pixfleet.config.results import BatchSummary, Failure, Manifest, VariantResult

_EXTRAS_MOST: Final = 2_000
"""Images whose saliency map, snippets and candidates the page holds."""
_CARDS_MOST: Final = 10_000
_ROWS_MOST: Final = 100_000
_ENDS: Final = 100
"""So many images at either end of each sort order are kept whatever is dropped."""
_FAILURES_MOST: Final = 1_000
"""Failures of one code that are listed one by one."""
_PLAIN_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")

_json = partial(json.dumps, separators=(",", ":"))


@dataclass(slots=True)
class Entry:
    """One image on the page: its sort keys, and what is told of it, from scant to rich."""

    keys: tuple[float, ...]
    row: str
    card: str | None
    saliency: str | None
    pictures: str | None
    lives: str | None


class Batch:
    """Manifests folded into entries and sums as they pass by; memory is bounded by the page's."""

    def __init__(self, source_link: Callable[[Manifest], str | None]) -> None:
        self._source_link = source_link
        self._entries: dict[int, Entry] = {}
        self._seen = self._with_saliency = self._with_pictures = 0
        self._status: Counter[str] = Counter()
        self._formats: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._stages: defaultdict[str, float] = defaultdict(float)
        self._failures: dict[str, dict[str, Any]] = {}
        self._encoders: dict[str, int] = {}
        self._missed = self._compared = self._compared_best = 0
        self._saved_cpu_s = 0.0
        self._first = self._last = ""

    def add(self, manifest: Manifest) -> None:
        """Take one image in."""
        best = _best(manifest.variants)
        self._sum(manifest, best)
        saliency = manifest.features.saliency_png if manifest.features else None
        self._with_saliency += saliency is not None
        self._with_pictures += bool(manifest.pictures)
        self._entries[self._seen] = Entry(
            keys=_keys(manifest, best),
            row=_row(manifest, best),
            card=self._card(manifest),
            saliency=saliency,
            pictures=_pictures(manifest),
            lives=_lives(manifest),
        )
        self._seen += 1
        if self._seen % _CARDS_MOST == 0:
            self._trim()

    def entries(self) -> list[Entry]:
        """What the page holds, in the order of arrival."""
        self._trim()
        return list(self._entries.values())

    def totals(self, summary: BatchSummary) -> dict[str, Any]:
        """The batch's sums, and how much of it the page holds."""
        entries = self.entries()
        stages = sorted(self._stages.items(), key=lambda item: -item[1])
        return {
            **summary.model_dump(mode="json"),
            "status": self._status,
            "manifests": self._seen,
            "formats": self._formats,
            "stages": stages,
            "failures": self._failures,
            "encoders": list(self._encoders),
            "missed": self._missed,
            "compared": self._compared,
            "compared_best": self._compared_best,
            "saved_cpu_s": self._saved_cpu_s,
            "first": self._first,
            "last": self._last,
            "kept_rows": len(entries),
            "kept_cards": sum(entry.card is not None for entry in entries),
            "saliency": self._with_saliency,
            "kept_saliency": sum(entry.saliency is not None for entry in entries),
            "pictures": self._with_pictures,
            "kept_pictures": sum(entry.pictures is not None for entry in entries),
            "ends": _ENDS,
        }

    def _sum(self, manifest: Manifest, best: VariantResult | None) -> None:
        self._status[manifest.status] += 1
        smallest: dict[str, VariantResult] = {}
        for variant in manifest.variants:
            kept = smallest.setdefault(variant.name, variant)
            if variant.bytes < kept.bytes:
                smallest[variant.name] = variant
            counts = self._formats[variant.format]
            counts[0] += 1
            counts[1] += variant.bytes
            self._missed += not variant.reached
        for variant in smallest.values():
            self._formats[variant.format][2] += 1
        if best is not None and manifest.bytes is not None:
            self._compared += manifest.bytes
            self._compared_best += best.bytes
        for use in manifest.receipt.stages:
            self._stages[use.stage] += use.cpu_s
        self._saved_cpu_s += manifest.receipt.saved_cpu_s
        for failure in manifest.failures:
            group = self._failures.setdefault(failure.code, {"count": 0, "items": []})
            group["count"] += 1
            if len(group["items"]) < _FAILURES_MOST:
                where = [manifest.source, failure.message, failure.hint, failure.variant]
                group["items"].append(where)
        finished = manifest.finished_at.isoformat(timespec="seconds")
        self._first = min(self._first or finished, finished)
        self._last = max(self._last, finished)

    def _card(self, manifest: Manifest) -> str:
        drop = {
            *("variants", "pictures", "features", "failures", "receipt", "plan", "output"),
            "schema_version",
        }
        folder = manifest.variants[0].path.rpartition("/")[0] if manifest.variants else ""
        features, plan = manifest.features, manifest.plan
        return _json(
            {
                **manifest.model_dump(mode="json", exclude=drop),
                "link": self._source_link(manifest),
                "folder": percent_encode(folder) if folder else ".",
                "variants": [self._variant(variant, folder) for variant in manifest.variants],
                "features": features
                and features.model_dump(
                    mode="json", exclude={"saliency_png", "thumbhash"}, exclude_none=True
                ),
                "failures": [_reason(failure) for failure in manifest.failures],
                "plan": plan and [plan.execution, plan.reason, plan.members],
                "receipt": manifest.receipt.model_dump(mode="json", exclude_defaults=True),
            }
        )

    def _variant(self, variant: VariantResult, folder: str) -> list[Any]:
        expected = f"{folder}/{variant.name}.{SUFFIXES[variant.format]}"
        plain = bool(_PLAIN_NAME.fullmatch(variant.name)) and variant.path == expected
        # By position, not by name: ten variants an image are most of a large page.
        return [
            variant.name,
            variant.format,
            None if plain else percent_encode(variant.path),
            variant.width,
            variant.height,
            variant.bytes,
            variant.quality,
            variant.metric,
            variant.target,
            variant.score,
            int(variant.reached),
            variant.probes,
            self._encoders.setdefault(variant.encoder, len(self._encoders)),
            round(variant.cpu_s, 4),
            int(variant.memo),
            int(variant.kept_source),
            variant.frames,
            list(variant.notes),
            variant.floors and list(variant.floors.model_dump().values()),
        ]

    def _trim(self) -> None:
        entries = self._entries
        if len(entries) <= _EXTRAS_MOST:
            return
        ends = _ends({number: entry.keys for number, entry in entries.items()})
        inner = [number for number in entries if number not in ends]
        for number in inner[max(0, _EXTRAS_MOST - len(ends)) :]:
            entries[number].saliency = entries[number].pictures = entries[number].lives = None
        for number in inner[max(0, _CARDS_MOST - len(ends)) :]:
            entries[number].card = None
        for number in inner[max(0, _ROWS_MOST - len(ends)) :]:
            del entries[number]


def _pictures(manifest: Manifest) -> str | None:
    if not manifest.pictures:
        return None
    return _json(
        [
            [
                picture.width,
                picture.height,
                [[s.format, s.share] for s in picture.sources],
                picture.html,
            ]
            for picture in manifest.pictures
        ]
    )


def _lives(manifest: Manifest) -> str | None:
    if not manifest.variants:
        return None
    return _json(
        [
            variant.lifetime
            and [
                *variant.lifetime.model_dump(mode="json").values(),
                [list(one.model_dump(mode="json").values()) for one in variant.candidates],
            ]
            for variant in manifest.variants
        ]
    )


def _reason(failure: Failure) -> list[str | None]:
    return [failure.code, failure.message, failure.hint, failure.variant]


def _ends(keys: Mapping[int, tuple[float, ...]]) -> set[int]:
    """The images at either end of each sort order."""
    kept: set[int] = set()
    for order in range(len(next(iter(keys.values())))):
        ranked = sorted(keys, key=lambda number: keys[number][order])
        kept.update(ranked[:_ENDS], ranked[-_ENDS:])
    return kept


def _best(variants: tuple[VariantResult, ...]) -> VariantResult | None:
    """What a page would serve in the source's stead: the largest size in its fewest bytes."""
    return max(
        variants, key=lambda variant: (variant.width * variant.height, -variant.bytes), default=None
    )


def _score(manifest: Manifest) -> float | None:
    scores = [item.score for item in manifest.variants if item.score is not None]
    return min(scores, default=None)


def _wall_s(manifest: Manifest) -> float:
    return sum(use.wall_s for use in manifest.receipt.stages)


def _keys(manifest: Manifest, best: VariantResult | None) -> tuple[float, ...]:
    """Score, bytes saved, source bytes, wall seconds, cost: the sort orders of the page."""
    score, size = _score(manifest), manifest.bytes or 0
    return (
        101.0 if score is None else score,
        float(size - best.bytes) if best else 0.0,
        float(size),
        _wall_s(manifest),
        float(manifest.receipt.cost_usd),
    )


def _row(manifest: Manifest, best: VariantResult | None) -> str:
    name = manifest.variants[0].path.rpartition("/")[0] if manifest.variants else ""
    return _json(
        [
            name or manifest.source.rstrip("/").rpartition("/")[2] or manifest.source,
            manifest.status,
            ",".join(sorted({variant.format for variant in manifest.variants})),
            _score(manifest),
            manifest.bytes,
            best.bytes if best else None,
            round(_wall_s(manifest), 4),
            round(manifest.receipt.cpu_s, 4),
            format(manifest.receipt.cost_usd, "f"),
            len(manifest.variants),
            int(all(variant.reached for variant in manifest.variants)),
        ]
    )
