"""The contest in Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from judges.panel import SECOND_JUDGES, SSIMULACRA2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .matching import Row

MUCH: Final = 0.1
"""A difference between judges that is worth a sentence."""


def at_equal_quality(rows: Sequence[Row]) -> Iterator[str]:
    """Bytes and CPU at the equal 10th percentile of SSIMULACRA2."""
    yield (
        "| peer at its default | p10 | mean | KB | CPU ms/MP | pixfleet | p10 | mean "
        "| lowest − target | KB | **smaller, per image** | in sum | CPU ms/MP | probes | chosen |"
    )
    yield "|---|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|---|"
    for row in rows:
        peer, ours = row.peer, row.ours
        lowest = ours.worst(SSIMULACRA2) - ours.setting
        yield (
            f"| {peer.name} | {peer.p10:.1f} | {peer.mean(SSIMULACRA2):.1f} "
            f"| {sum(peer.sizes) / 1e3:.0f} | {peer.cpu_ms_per_mp:.0f} | {ours.name} "
            f"| {ours.p10:.1f} | {ours.mean(SSIMULACRA2):.1f} | {lowest:+.2f} "
            f"| {sum(ours.sizes) / 1e3:.0f} | **{row.smaller:.1%}** | {row.smaller_in_sum:.1%} "
            f"| {ours.cpu_ms_per_mp:.0f} | {sum(ours.probes) / len(ours.probes):.1f} "
            f"| {ours.chosen} |"
        )


def by_other_judges(rows: Sequence[Row]) -> Iterator[str]:
    """The same rows before the judges that did not drive the search."""
    yield (
        "| peer | pixfleet | butteraugli mean, worst: peer | pixfleet "
        "| MS-SSIM dB mean, worst: peer | pixfleet | smaller at equal p10 of SSIMULACRA2 "
        "| at equal mean | at equal tail of butteraugli | at equal mean | at equal tail of MS-SSIM "
        "| at equal mean |"
    )
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for row in rows:
        peer, ours = row.peer, row.ours
        said = " | ".join(
            judge.told(run.by(judge)) for judge in SECOND_JUDGES for run in (peer, ours)
        )
        equal = [row.smaller, row.smaller_at_equal_mean(SSIMULACRA2)]
        for judge in SECOND_JUDGES:
            equal += [row.smaller_at_equal_tail(judge), row.smaller_at_equal_mean(judge)]
        yield f"| {peer.name} | {ours.name} | {said} | {' | '.join(map(_share, equal))} |"


def disagreements(rows: Sequence[Row]) -> Iterator[str]:
    """What second judges deny, or confirm only in part; a line for each way and judge.

    Compared are sets of which a tenth is equally bad by the one judge and by the other.
    """
    for name in dict.fromkeys(row.ours.name for row in rows):
        for judge in SECOND_JUDGES:
            told = [
                f"{_size(other)} than {row.peer.name}, not {_size(row.smaller)}"
                for row in rows
                if row.ours.name == name and _denied(row, other := row.smaller_at_equal_tail(judge))
            ]
            if told:
                yield f"- {name} by {judge.name.removesuffix(' dB')}: {'; '.join(told)}."


def _denied(row: Row, other: float) -> bool:
    return other < row.smaller - MUCH or (other < 0 <= row.smaller)


def _size(smaller: float) -> str:
    return f"{smaller:.0%} smaller" if smaller >= 0 else f"{-smaller:.0%} larger"


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1%}"
