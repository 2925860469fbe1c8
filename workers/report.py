"""The picture report: one page that shows a batch, opened from disk beside its variants.

Images arrive as a stream and leave as short lines of JSON, so a large batch needs neither all
manifests in memory nor all details on the page: what is left out, the page says.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from pixfleet.config.contract import SUFFIXES, BatchSummary, Manifest, VariantResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_SALIENCY_MOST: Final = 2_000
_CARDS_MOST: Final = 10_000
_ROWS_MOST: Final = 100_000
_ENDS: Final = 100
"""So many images at either end of each sort order are kept whatever is dropped."""
_FAILURES_MOST: Final = 1_000
"""Failures of one code that are listed one by one."""

_BROWSER_FORMATS: Final = frozenset({"jpeg", "png", "webp", "gif", "avif", "bmp"})
_PLAIN_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SCRIPTS: Final = ("report.js", "report_compare.js", "report_card.js", "report_list.js")

_json = partial(json.dumps, separators=(",", ":"), default=str)


def browser_link(manifest: Manifest) -> str | None:
    """Where a browser finds the source, relative to the output where both are local folders.

    None: not a local file, or of a format that browsers do not show.
    """
    if manifest.format not in _BROWSER_FORMATS:
        return None
    source, output = _local(manifest.source), _local(manifest.output)
    if source is None:
        return None
    if output is None:
        return "file://" + _percent(source)
    return _percent(os.path.relpath(source, output))


def render_report(
    manifests: Iterable[Manifest],
    summary: BatchSummary,
    *,
    title: str = "pixfleet",
    wall_s: float | None = None,
    source_link: Callable[[Manifest], str | None] = browser_link,
) -> bytes:
    """The report of a batch as one HTML page, UTF-8, which loads nothing but the pictures.

    ``summary`` gives the totals, ``wall_s`` the time from the first submit to the last result;
    the page lies in the output, so a variant is found by its path. ``source_link`` gives the URL
    of a source (a ``data:`` URI will do), or None where a browser cannot show it: then the best
    variant stands in and the page says so.

    Above 10,000 images the page holds a bare row for some of them, above 2,000 it leaves out some
    saliency maps, above 100,000 some images altogether; never those at the ends of a sort order.
    """
    batch = _Batch(source_link)
    for manifest in manifests:
        batch.add(manifest)
    entries = list(batch.trimmed())
    script = "\n".join(_asset(name) for name in _SCRIPTS)
    style = _asset("report.css")
    # Written in one pass over the template, so that no value is ever taken for a placeholder.
    values = {
        "title": html.escape(title),
        "policy": html.escape(_policy(script, style)),
        "style": style,
        "script": script,
        "totals": _inert(_json(batch.totals(summary, title, wall_s, entries))),
        "rows": _inert("\n".join(entry.row for entry in entries)),
        "cards": _inert("\n".join(entry.card or "" for entry in entries)),
        "saliency": _inert("\n".join(entry.saliency or "" for entry in entries)),
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _asset("report.html"))
    return page.encode("utf-8", "backslashreplace")


@dataclass(slots=True)
class _Entry:
    """One image on the page: its sort keys, and what is told of it, from scant to rich."""

    keys: tuple[float, ...]
    row: str
    card: str | None
    saliency: str | None


class _Batch:
    """Manifests folded into entries and sums as they pass by."""

    def __init__(self, source_link: Callable[[Manifest], str | None]) -> None:
        self._source_link = source_link
        self._entries: dict[int, _Entry] = {}
        self._seen = 0
        self._status: Counter[str] = Counter()
        self._formats: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._stages: defaultdict[str, float] = defaultdict(float)
        self._failures: dict[str, dict[str, Any]] = {}
        self._encoders: dict[str, int] = {}
        self._missed = self._compared = self._compared_best = 0
        self._saved_cpu_s = 0.0
        self._first = self._last = ""

    def add(self, manifest: Manifest) -> None:
        best = _best(manifest.variants)
        self._sum(manifest, best)
        features = manifest.features
        self._entries[self._seen] = _Entry(
            keys=_keys(manifest, best),
            row=_row(manifest, best),
            card=self._card(manifest),
            saliency=features.saliency_png if features else None,
        )
        self._seen += 1
        if self._seen % _CARDS_MOST == 0:
            self._trim()

    def trimmed(self) -> Iterator[_Entry]:
        """What the page holds, in the order of arrival."""
        self._trim()
        return iter(self._entries.values())

    def totals(
        self, summary: BatchSummary, title: str, wall_s: float | None, entries: list[_Entry]
    ) -> dict[str, Any]:
        stages = sorted(self._stages.items(), key=lambda item: -item[1])
        return {
            **summary.model_dump(mode="json"),
            "title": title,
            "wall_s": wall_s,
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
            "trims_saliency": self._seen > _SALIENCY_MOST,
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
        drop = {"variants", "features", "failures", "receipt", "plan", "output", "schema_version"}
        folder = manifest.variants[0].path.rpartition("/")[0] if manifest.variants else ""
        features, plan = manifest.features, manifest.plan
        return _json(
            {
                **manifest.model_dump(mode="json", exclude=drop),
                "link": self._source_link(manifest),
                "folder": _percent(folder) if folder else ".",
                "variants": [self._variant(variant, folder) for variant in manifest.variants],
                "features": features
                and features.model_dump(
                    mode="json", exclude={"saliency_png", "thumbhash"}, exclude_none=True
                ),
                "failures": [list(failure.model_dump().values()) for failure in manifest.failures],
                "plan": plan and list(plan.model_dump().values()),
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
            None if plain else _percent(variant.path),
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
        ]

    def _trim(self) -> None:
        entries = self._entries
        if len(entries) <= _SALIENCY_MOST:
            return
        ends = _ends({number: entry.keys for number, entry in entries.items()})
        inner = [number for number in entries if number not in ends]
        for number in inner[max(0, _SALIENCY_MOST - len(ends)) :]:
            entries[number].saliency = None
        for number in inner[max(0, _CARDS_MOST - len(ends)) :]:
            entries[number].card = None
        for number in inner[max(0, _ROWS_MOST - len(ends)) :]:
            del entries[number]


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


def _local(place: str) -> Path | None:
    """The path behind a path or ``file://`` URL."""
    if place.startswith("file://"):
        return Path(unquote(urlsplit(place.replace("?", "%3F").replace("#", "%23")).path))
    return None if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", place) else Path(place).absolute()


def _percent(path: str | Path) -> str:
    # A file name need not be UTF-8; its very bytes are what the browser must ask for.
    return quote(str(path).encode("utf-8", "surrogateescape"), safe="/")


def _inert(text: str) -> str:
    """JSON that cannot end the script element it lies in."""
    return text.replace("<", "\\u003c")


def _policy(script: str, style: str) -> str:
    """A content security policy under which only our own code runs and only pictures load."""
    return (
        f"default-src 'none'; img-src 'self' file: data:; "
        f"script-src '{_digest(script)}'; style-src '{_digest(style)}'"
    )


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
