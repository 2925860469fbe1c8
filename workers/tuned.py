"""What tuning found, in words, as a table, and as JSON."""

from __future__ import annotations

import math
import platform
import sys
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from pixfleet.config.urls import shown
from pixfleet.producer.terminal import messages, size

from .experiments import FREE
from .fleet.memory import FOR_CHILDREN, machine_bytes
from .progress import usd
from .spend.gain import LEAST_GAIN

if TYPE_CHECKING:
    from pathlib import Path

    from .outcome import Outcome
    from .spend.gain import Gain
    from .tune import Tuning

HEADS: Final = (
    "value",
    "images/s",
    "CPU s/image",
    "$ per 1,000 images",
    "bytes/image",
    "spread",
    "memory of a child",
    "cheaper than now",
)


def print_tuning(found: Tuning) -> None:
    """A table for each experiment on stdout, and what comes of it."""
    console = Console(file=sys.stdout, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 1000
    for line in heading(found):
        console.print(line, soft_wrap=True)
    for outcome in found.outcomes:
        console.print(f"\n{title(outcome)}", soft_wrap=True)
        table = Table(box=None, padding=(0, 2, 0, 0))
        for head in HEADS:
            table.add_column(head, justify="left" if head == HEADS[0] else "right")
        for row in rows(outcome):
            table.add_row(*row)
        if table.row_count:
            console.print(table)
        for line in findings(outcome):
            console.print(line, soft_wrap=True)
    console.print(f"\n{shrinking(found)}", soft_wrap=True)
    for note in found.notes:
        messages.print(note, soft_wrap=True)


def tuning_json(found: Tuning, path: Path | None) -> dict[str, Any]:
    """The object that ``--json`` prints."""
    return {
        "images": found.images,
        "machine": found.machine.rates.machine,
        "price_book": found.price_book,
        "cores": found.cores,
        "load": round(found.load, 2),
        "seconds": round(found.seconds, 1),
        "experiments": [_outcome_json(outcome) for outcome in found.outcomes],
        "shrink_on_load": shrinking(found),
        "notes": found.notes,
        "file": str(path) if path else None,
    }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    verdict = outcome.verdict
    experiment = outcome.experiment
    chosen = outcome.chosen
    return {
        "setting": experiment.name,
        "place": experiment.place,
        "present": experiment.present,
        "chosen": verdict.chosen if verdict else experiment.present,
        "lines": list(chosen.lines) if chosen else [],
        "pairs": verdict.pairs if verdict else 0,
        "images": outcome.images,
        "values": {
            label: {
                "images_per_s": [round(one.images_per_s, 4) for one in rounds],
                "cpu_s_per_image": [round(one.cpu_s / one.images, 4) for one in rounds],
                "usd_per_image": [f"{experiment.cost_usd(one):.12f}" for one in rounds],
                "bytes_per_image": [round(one.bytes_out / one.images) for one in rounds],
                "peak_bytes": max(one.peak_bytes for one in rounds),
                "failed": max(one.failed for one in rounds),
                "gain": _gain_json(verdict.gains.get(label)) if verdict else None,
            }
            for label, rounds in outcome.rounds.items()
            if rounds
        },
        "findings": findings(outcome),
    }


def _gain_json(gain: Gain | None) -> dict[str, Any] | None:
    if gain is None:
        return None
    noise = round(gain.noise, 4) if math.isfinite(gain.noise) else None
    return {"share": round(gain.share, 4), "noise": noise, "sure": gain.sure}


def heading(found: Tuning) -> list[str]:
    """What was tuned, where and with what."""
    first, wish = found.first, found.wish
    memory = machine_bytes()
    room = int(FOR_CHILDREN * memory // max(first.peak_bytes, 1))
    bound = "memory bounds it" if room < found.cores else "cores bound it, not memory"
    failed = f"; {first.failed} of the first {first.failed + first.images} failed"
    began = (
        f"{found.images:,} images of {shown(wish.source)}, recipe {wish.recipe.name}, in "
        f"{found.seconds:.0f} s{failed if first.failed else ''}"
    )
    machine = (
        f"machine: {found.cores} cores, {size(memory)}, {platform.system()} "
        f"{platform.machine()}, load {found.load:.1f} at the start; paid as "
        f"{found.machine.vcpus:g} vCPUs of "
        f"{found.machine.rates.machine} by {found.price_book}"
    )
    versions = (
        f"versions: pixfleet {version('pixfleet')}, Python {platform.python_version()}, "
        f"{', '.join(sorted(first.encoders)) or 'no encoder'}"
    )
    room_for = (
        f"memory: a child took {size(first.peak_bytes)} at most, so there is room for {room} "
        f"children: {bound}"
    )
    return [began, machine, versions, room_for]


def title(outcome: Outcome) -> str:
    """Of an experiment."""
    rounds = len(outcome.rounds.get(outcome.experiment.present, ()))
    return (
        f"{outcome.experiment.name} (now {outcome.experiment.present}): {outcome.images} images, "
        f"{rounds} round{'' if rounds == 1 else 's'}"
    )


def rows(outcome: Outcome) -> list[tuple[str, ...]]:
    """Cells for each value, as ``HEADS`` names them."""
    rows: list[tuple[str, ...]] = []
    for label, rounds in outcome.rounds.items():
        if not rounds:
            continue
        costs = [float(outcome.experiment.cost_usd(one)) for one in rounds]
        middle = median(costs)
        gain = outcome.verdict.gains.get(label) if outcome.verdict else None
        rows.append(
            (
                label,
                f"{median(one.images_per_s for one in rounds):.3g}",
                f"{median(one.cpu_s / one.images for one in rounds):.3g}",
                usd(1000 * middle),
                size(median(one.bytes_out / one.images for one in rounds)),
                f"±{50 * (max(costs) - min(costs)) / middle:.1f}%",
                size(max(one.peak_bytes for one in rounds)),
                _told(gain) if gain else "",
            )
        )
    return rows


def _told(gain: Gain) -> str:
    noise = f"{100 * gain.noise:.1f}%" if math.isfinite(gain.noise) else "?"
    return f"{100 * gain.share:+.1f}% ± {noise}"


def findings(outcome: Outcome) -> list[str]:
    """What is to be known of an experiment, its decision last."""
    verdict, present = outcome.verdict, outcome.experiment.present
    if verdict is None:
        return [*outcome.notes, f"→ {present} stays: there was no whole round in the time"]
    lines = list(outcome.notes)
    if FREE in outcome.rounds:
        lines.append(_chooser(outcome))
    chosen = outcome.chosen
    if chosen:
        gain = verdict.gains[chosen.label]
        lines.append(f"→ {chosen.label}: {_told(gain)} cheaper than {present}")
        if outcome.experiment.place == "recipe":
            lines.append(f"  in the recipe's TOML: {'; '.join(chosen.lines)}")
    elif verdict.pairs == 1:
        one = "image" if outcome.experiment.image_usd else "round"
        lines.append(f"→ {present} stays: one {one} does not tell noise from gain; --seconds more")
    else:
        why = f"no difference beyond noise and {100 * LEAST_GAIN:.0f}%"
        best = all(gain.share < -max(gain.noise, LEAST_GAIN) for gain in verdict.gains.values())
        lines.append(f"→ {present} stays: {'all others are dearer' if best else why}")
    return lines


def _chooser(outcome: Outcome) -> str:
    """Does the choice among efforts, left free, find what costs least by itself."""
    costs = {
        label: median(float(outcome.experiment.cost_usd(one)) for one in rounds)
        for label, rounds in outcome.rounds.items()
    }
    least = min(costs, key=lambda label: costs[label])
    beyond = costs[FREE] / costs[least] - 1
    if least == FREE:
        return f"the choice by lifetime cost, left free ({FREE}), found the least cost by itself"
    return (
        f"the choice by lifetime cost, left free ({FREE}), came within {100 * beyond:.1f}% of the "
        f"least cost ({least})"
    )


def shrinking(found: Tuning) -> str:
    """What shrink-on-load gives here, in a sentence."""
    result = found.shrinking
    if result is None:
        return "shrink-on-load: not measured, the time was over"
    if result.scores is None:
        return (
            f"shrink-on-load: none of {result.looked_at} images is a JPEG so large that it is "
            "decoded smaller; nothing to set"
        )
    return (
        f"shrink-on-load: {result.shrunk} of {result.looked_at} images are decoded smaller; "
        f"decoding and scaling take {1000 * result.cpu_s:.0f} ms of CPU, "
        f"{1000 * result.full_cpu_s:.0f} ms "
        f"in full; SSIMULACRA2 of the one against the other {result.scores[1]:.1f}, at the least "
        f"{result.scores[0]:.1f}; it is always on, nothing to set"
    )
