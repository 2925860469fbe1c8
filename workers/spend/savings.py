"""What coding an image by its content spared, over the life of its files."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from pixfleet.config.prices import to_nano

if TYPE_CHECKING:
    from pixfleet.config.results import Manifest


def adaptive_savings(manifest: Manifest) -> dict[str, int]:
    """Bytes that two floors spared against uniform coding at the same floors, and their price.

    ``adaptive_bytes``, and ``adaptive_nano_usd``: to keep and send them as the recipe says. Files
    from the memo were counted when they were made.
    """
    spared, usd = 0, Decimal(0)
    for variant in manifest.variants:
        if variant.floors is None or variant.memo or not variant.bytes:
            continue
        less = variant.floors.uniform_bytes - variant.bytes
        spared += less
        if variant.lifetime:
            kept_and_sent = variant.lifetime.storage_usd + variant.lifetime.egress_usd
            usd += kept_and_sent * less / variant.bytes
    return {"adaptive_bytes": spared, "adaptive_nano_usd": to_nano(usd)}
