"""Variants as HTML for a page: the browser takes the smallest file that it accepts and that fits.

Variants of one shape make one picture; a crop is another picture, because a browser may put any
file of a ``srcset`` in any other's place.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pixfleet.config.audience import serving_order, serving_shares
from pixfleet.config.results import Picture, PictureSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pixfleet.config.contract import Format
    from pixfleet.config.results import VariantResult

MEDIA_TYPES: Final = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
    "jxl": "image/jxl",
    "heic": "image/heic",
}
FULL_WIDTH: Final = "100vw"
"""The ``sizes`` of a picture that spans the page: what HTML assumes where nothing is said."""

_Files = dict[int, "VariantResult"]


def percent_encode(path: str | Path) -> str:
    """A path as the path of a URL; a file name that is not UTF-8 keeps its very bytes."""
    return quote(str(path).encode("utf-8", "surrogateescape"), safe="/")


def same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Have two sizes (width, height) one aspect ratio, but for sides rounded to whole px."""
    large, small = max(one, other), min(one, other)
    return (
        abs(large[1] * small[0] / large[0] - small[1]) <= 1
        or abs(large[0] * small[1] / large[1] - small[0]) <= 1
    )


def pictures_of(
    variants: Sequence[VariantResult],
    audience: Mapping[Format, float],
    framing: Callable[[VariantResult], str],
    placeholder: Callable[[VariantResult], str | None],
) -> tuple[Picture, ...]:
    """One picture of each shape and framing among the variants, in their order.

    Of variants that differ in neither, nor in format and width, the one of fewer bytes is taken.
    A format that lacks a width has the smallest file of those as widely accepted in its place.

    Args:
        variants: of one image.
        audience: share of viewers that accept each format, 0 to 1.
        framing: names what part of the image a variant shows.
        placeholder: the CSS background of a picture whose largest file is this.
    """
    shapes: list[list[VariantResult]] = []
    for variant in sorted(variants, key=lambda variant: -variant.width * variant.height):
        for shape in shapes:
            if framing(shape[0]) == framing(variant) and same_shape(
                _size(shape[0]), _size(variant)
            ):
                shape.append(variant)
                break
        else:
            shapes.append([variant])
    shapes.sort(key=lambda shape: min(map(variants.index, shape)))
    return tuple(_picture(shape, audience, placeholder(shape[0])) for shape in shapes)


def _size(variant: VariantResult) -> tuple[int, int]:
    return variant.width, variant.height


def _picture(
    shape: Sequence[VariantResult], audience: Mapping[Format, float], placeholder: str | None
) -> Picture:
    """``shape`` has its largest variant first."""
    formats: set[Format] = {variant.format for variant in shape}
    widths = {variant.width for variant in shape}
    offers: dict[Format, _Files] = {}
    totals: dict[Format, int] = {}
    for name in formats:
        offers[name] = _accepted(shape, name, audience)
        totals[name] = _total(offers[name], widths, shape)
    order = serving_order(totals, audience)
    shares = serving_shares(order, audience)
    picture = Picture(
        width=shape[0].width,
        height=shape[0].height,
        sources=tuple(
            PictureSource(
                format=name,
                share=round(shares[name], 4),
                files={file.path: wide for wide, file in sorted(offers[name].items())},
            )
            for name in order
        ),
        unserved=round(1 - sum(shares.values()), 4),
        placeholder=placeholder,
        html="",
    )
    return picture.model_copy(update={"html": picture_html(picture)})


def _accepted(
    shape: Sequence[VariantResult], name: Format, audience: Mapping[Format, float]
) -> _Files:
    """Per width the format's own file, else the smallest that those who accept it accept too."""
    files: _Files = {}
    for variant in sorted(shape, key=lambda variant: (variant.format != name, variant.bytes)):
        if variant.format == name or audience[variant.format] >= audience[name]:
            files.setdefault(variant.width, variant)
    return files


def _total(files: _Files, widths: set[int], shape: Sequence[VariantResult]) -> int:
    """Bytes at all widths; a missing one counts as worse than any, so that lacking never pays."""
    return sum(
        files[wide].bytes
        if wide in files
        else max(variant.bytes for variant in shape if variant.width == wide) + 1
        for wide in widths
    )


def picture_html(picture: Picture, *, base_url: str = "", sizes: str = FULL_WIDTH) -> str:
    """The picture as HTML, to be loaded lazily and without moving the page.

    ``alt`` is empty: put in what the picture says, or leave it where it says nothing.

    Args:
        picture: of a manifest.
        base_url: URL of the output, put before every path; none: paths are relative to it.
        sizes: how wide the page shows it, as in HTML's ``sizes``.

    Raises:
        ValueError: the base URL holds white space, which would end a URL in a ``srcset``.
    """
    if base_url.split() not in ([], [base_url]):
        raise ValueError(f"base URL {base_url!r} holds white space; write a space as %20")
    prefix = f"{base_url.rstrip('/')}/" if base_url else ""
    *sources, fallback = picture.sources
    urls = [prefix + percent_encode(path) for path in fallback.files]
    style = f"background: {picture.placeholder}" if picture.placeholder else None
    image = _tag(
        "img",
        # Before src: some browsers begin to load as soon as they read that.
        loading="lazy",
        decoding="async",
        src=urls[-1],
        **(_sourced(fallback, prefix, sizes) if len(urls) > 1 else {}),
        width=str(picture.width),
        height=str(picture.height),
        alt="",
        style=style,
    )
    if not sources:
        return image
    lines = [
        _tag("source", type=MEDIA_TYPES[source.format], **_sourced(source, prefix, sizes))
        for source in sources
    ]
    return "\n".join(["<picture>", *(f"  {line}" for line in (*lines, image)), "</picture>"])


def _sourced(source: PictureSource, prefix: str, sizes: str) -> dict[str, str]:
    urls = {prefix + percent_encode(path): wide for path, wide in source.files.items()}
    if len(urls) == 1:
        return {"srcset": next(iter(urls))}
    return {"srcset": ", ".join(f"{url} {wide}w" for url, wide in urls.items()), "sizes": sizes}


def _tag(name: str, **attributes: str | None) -> str:
    written = "".join(
        f' {key}="{html.escape(value)}"' for key, value in attributes.items() if value is not None
    )
    return f"<{name}{written}>"
