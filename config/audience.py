"""Who can see which format, and what each of several formats therefore serves.

Acceptance is taken to nest: whoever accepts a format accepts every format with a larger share. In
the data behind ``AUDIENCE`` that holds without exception: heic < jxl < avif < webp < png = jpeg.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .contract import Format

AUDIENCE: Final[Mapping[Format, float]] = {
    "jpeg": 1.0,
    "png": 1.0,
    "webp": 0.973,
    "avif": 0.967,
    "jxl": 0.69,
}
"""Share of the world's viewers that accept each format as a still image, 0 to 1.

Sums of usage over the browser versions with full or partial support in caniuse-lite 1.0.30001827
of 2026-11-22 (CC BY 4.0): webp 97.3%, avif 96.7%, jxl 69.3%, heic 15.3%. The 2.4% of usage that it
attributes to no browser count as accepting only JPEG and PNG, which are assumed for everybody. Sure
for webp, avif and heic. jxl moves: 54% since Chrome 155 and Firefox took it up, 15% Safari without
animation, growing by the week; give your own site's figures where it matters.
"""


def serving_shares(
    formats: Sequence[Format], audience: Mapping[Format, float]
) -> dict[Format, float]:
    """The share of views, 0 to 1, that each format serves: a viewer takes the first it accepts.

    ``formats`` stand in the order of a ``<picture>``'s sources, the fallback last; ``audience``
    holds every one of them. What is missing from a sum of 1 is served by none of them.
    """
    shares: dict[Format, float] = {}
    served = 0.0
    for name in formats:
        shares[name] = max(0.0, audience[name] - served)
        served = max(served, audience[name])
    return shares


def serving_order(
    sizes: Mapping[Format, int], audience: Mapping[Format, float]
) -> tuple[Format, ...]:
    """The formats in the order in which a viewer should be offered them: the smallest first.

    ``sizes`` are bytes. Last stands the fallback, the format that most accept (the smallest of
    several). Left out is what nobody would take: a format no smaller than the fallback, or one
    whose viewers accept a smaller one too.
    """
    if not sizes:
        return ()
    fallback = min(sizes, key=lambda name: (-audience[name], sizes[name]))
    order: list[Format] = []
    served = 0.0
    for name in sorted(sizes, key=lambda name: (sizes[name], -audience[name])):
        if sizes[name] < sizes[fallback] and audience[name] > served:
            order.append(name)
            served = audience[name]
    return (*order, fallback)
