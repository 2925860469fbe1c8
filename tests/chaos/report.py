"""The tables of a storm, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.harness import Outcome


def markdown(outcome: Outcome) -> str:
    """Faults, recovery times, endings, and what did not hold."""
    plan = outcome.plan
    faults = sum(outcome.faults.values())
    title = (
        f"Seed {plan.seed}: {plan.jobs:,} jobs, {faults} faults on {plan.broker}, "
        f"{plan.workers} workers of two children, lease {plan.lease_s} s; "
        f"{outcome.wall_s:.0f} s, all ended {outcome.settled_s:.1f} s after the last fault."
    )
    lines = [
        title,
        "",
        "| fault | times | jobs or workers hit | median, s | worst, s |",
        "|---|---:|---:|---:|---:|",
    ]
    kinds = list(dict.fromkeys([*sorted(outcome.faults), *sorted(outcome.recovery)]))
    for kind in kinds:
        found = outcome.recovery.get(kind, {})
        times = outcome.faults.get(kind, "")
        figures = (
            f"{found['recovered']} | {found['median_s']} | {found['worst_s']}"
            if found.get("recovered")
            else "– | – | –"
        )
        lines.append(f"| {kind} | {times} | {figures} |")
    lines += ["", "| jobs ended | |", "|---|---:|"]
    lines += [f"| {state} | {count} |" for state, count in sorted(outcome.states.items())]
    lines += ["", "| failures | |", "|---|---:|"]
    lines += [f"| {code} | {count} |" for code, count in sorted(outcome.codes.items())]
    if outcome.violations:
        lines += ["", f"**{len(outcome.violations)} violations**", ""]
        lines += [f"- {violation}" for violation in outcome.violations]
    else:
        lines += ["", "Every invariant held."]
    return "\n".join(lines)
