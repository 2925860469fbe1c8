"""What a comparison measured, as JSON has it, and its sums."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args

from .match import EVEN_POINTS, EVEN_SHARE, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .comparison import Comparison, FormatComparison
    from .match import Shown


def figures(comparison: Comparison) -> dict[str, Any]:
    """All that was measured, as JSON has it; no pixels."""
    height, width = comparison.pixels.shape[:2]
    header = comparison.header
    return {
        "source": comparison.source,
        "name": comparison.name,
        "source_format": header.format,
        "source_width": header.width,
        "source_height": header.height,
        "source_bytes": header.file_bytes,
        "frames": header.frames,
        "width": width,
        "height": height,
        "salient_share": round(float(comparison.region.mean()), 4),
        "faces": len(comparison.faces),
        "formats": [_format_figures(one) for one in comparison.formats],
        "failures": [failure.model_dump(mode="json") for failure in comparison.failures],
    }


def _format_figures(one: FormatComparison) -> dict[str, Any]:
    return {
        "format": one.format,
        "habit": {**_shown_figures(one.habit), "why": one.why},
        "promises": [
            {
                "promise": match.promise,
                "pixfleet": _shown_figures(match.pixfleet),
                "same_bytes": {
                    **_shown_figures(match.same_bytes),
                    "points": round(match.points_at_same_bytes, 2),
                    "better": match.verdict_at_same_bytes,
                },
                "same_score": {
                    **_shown_figures(match.same_score),
                    "saved": round(match.saved_at_same_score, 4),
                    "better": match.verdict_at_same_score,
                },
            }
            for match in one.matches
        ],
    }


def _shown_figures(shown: Shown) -> dict[str, Any]:
    scores = shown.scores
    regions = {
        "whole": scores.whole,
        "salient": scores.salient,
        "background": scores.background,
        "worst_tile": scores.worst_tile,
    }
    return {
        "bytes": len(shown.data),
        "score": round(shown.score, 2),
        **{name: value if value is None else round(value, 2) for name, value in regions.items()},
        "quality": shown.quality,
        "encoder": shown.encoder,
        "cpu_ms": round(shown.cpu_s * 1e3, 1),
        "reached": shown.reached,
        "notes": list(shown.notes),
    }


def totals_of(images: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Sums by format and promise, in the order in which they first come, of ``figures``.

    ``saved`` is one less the geometric mean of pixfleet's bytes over the fixed encoder's at the
    same score, ``points`` the mean of the score ahead at the same bytes; of the pictures where
    there was a match. The counts say how often whom the verdict favours; CPU is of all pictures,
    the fixed encoder's at the same score.
    """
    matches: dict[tuple[str, str], list[dict[str, Any]]] = {}
    count = 0
    for image in images:
        count += 1
        for one in image["formats"]:
            for match in one["promises"]:
                matches.setdefault((one["format"], match["promise"]), []).append(match)
    return {
        "images": count,
        "even_points": EVEN_POINTS,
        "even_share": EVEN_SHARE,
        "sums": [_sum(name, promise, found) for (name, promise), found in matches.items()],
    }


def _sum(name: str, promise: str, matches: list[dict[str, Any]]) -> dict[str, Any]:
    by_score = [match["same_score"] for match in matches]
    by_bytes = [match["same_bytes"] for match in matches]
    logs = [math.log(1 - one["saved"]) for one in by_score if one["better"] != "unmatched"]
    points = [one["points"] for one in by_bytes if one["better"] != "unmatched"]
    return {
        "format": name,
        "promise": promise,
        "saved": round(1 - math.exp(sum(logs) / len(logs)), 4) if logs else None,
        "points": round(sum(points) / len(points), 2) if points else None,
        "same_score": _counts(by_score),
        "same_bytes": _counts(by_bytes),
        "cpu_ms": round(sum(match["pixfleet"]["cpu_ms"] for match in matches), 1),
        "fixed_cpu_ms": round(sum(one["cpu_ms"] for one in by_score), 1),
    }


def _counts(matches: Sequence[dict[str, Any]]) -> dict[str, int]:
    found = [match["better"] for match in matches]
    return {name: found.count(name) for name in get_args(Verdict)}
