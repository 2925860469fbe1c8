"""What a job teaches about machines, formats and efforts; advice is drawn from the sums of it.

Money is not in it: that is charged by lines. Kept in ``keys.EXPERIENCE`` by month, next to the time
that machines ran (``account.py``).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pixfleet.config.prices import to_nano
from pixfleet.workers.imaging.efforts import effort_label, efforts_of

if TYPE_CHECKING:
    from pixfleet.config.results import CandidateResult, Manifest, VariantResult

MADE = "made"
"""Begins fields of images that were made afresh: ``made|recipe|machine|…``, ``…|format|…``,
``…|effort|higher|…``."""
RAN = "ran"
"""Begins fields of machines' time: ``ran|2026-11-25T08|c7i.large spot|vcpu_ms``."""


def experience(manifest: Manifest) -> tuple[list[str | int], str, int]:
    """Pairs of field and number to add up, and the field and bytes of a peak of memory.

    Nothing of images that failed or that the memo knew, or that several kinds of machines made.
    """
    receipt = manifest.receipt
    kind = receipt.machine.partition(" ")[0]
    if manifest.status == "failed" or receipt.memo_hits or not kind or "," in receipt.machine:
        return [], "", 0
    recipe = f"{MADE}|{manifest.recipe}"
    machine = f"{recipe}|machine|{kind}"
    sums: Counter[str] = Counter()
    sums[f"{machine}|images"] = 1
    sums[f"{machine}|pixels"] = (manifest.width or 0) * (manifest.height or 0)
    sums[f"{machine}|cpu_ms"] = round(receipt.cpu_s * 1000)
    for variant in manifest.variants:
        sums.update(_tried(f"{recipe}|format", variant))
        sums.update(_higher_effort(f"{recipe}|effort|higher", variant))
    pairs = [part for field, number in sums.items() if number for part in (field, number)]
    return pairs, f"{machine}|peak_bytes", receipt.peak_bytes


def _tried(prefix: str, variant: VariantResult) -> Counter[str]:
    """CPU that went into each format, into candidates that did not win, and who won."""
    sums: Counter[str] = Counter({f"{prefix}|{variant.format}|files": 1})
    formats = {candidate.format for candidate in variant.candidates}
    for name in formats:
        tried = [one for one in variant.candidates if one.format == name and _was_tried(one)]
        cpu_ms = round(1000 * sum(one.cpu_s for one in tried))
        sums[f"{prefix}|{name}|cpu_ms"] += cpu_ms
        if name != variant.format:
            sums[f"{prefix}|{name}|lost_ms"] += cpu_ms
    return sums


def _higher_effort(prefix: str, variant: VariantResult) -> Counter[str]:
    """CPU of efforts above the least, and what their fewer bytes spare over the file's life.

    Counted where the least effort of the chosen format was measured on the same pixels.
    """
    least = effort_label(variant.format, efforts_of(variant.format)[0])
    alike = [one for one in variant.candidates if one.format == variant.format and _was_tried(one)]
    base = next((one for one in alike if one.effort == least and one.bytes), None)
    if base is None or base.bytes is None or variant.lifetime is None or not variant.bytes:
        return Counter()
    cpu_s = sum(one.cpu_s for one in alike if one.effort != least)
    kept_and_sent = variant.lifetime.storage_usd + variant.lifetime.egress_usd
    spared = kept_and_sent * (base.bytes - variant.bytes) / variant.bytes
    return Counter(
        {f"{prefix}|cpu_ms": round(cpu_s * 1000), f"{prefix}|spared_nano": to_nano(spared)}
    )


def _was_tried(candidate: CandidateResult) -> bool:
    return candidate.verdict != "not tried"
