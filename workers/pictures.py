"""A manifest's variants as pictures for a page, with what to show while they load."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from pixfleet.producer.picture import pictures_of, same_shape

from .imaging.placeholder import blurred

if TYPE_CHECKING:
    from pixfleet.config.contract import Recipe, VariantSpec
    from pixfleet.config.results import Features, Manifest, VariantResult

_WHOLE: Final = "whole"
_UNSERVED_MOST: Final = 0.01
"""Share of viewers that may see nothing before the manifest warns."""


def with_pictures(manifest: Manifest, recipe: Recipe) -> Manifest:
    """The manifest with its pictures, and a note where too many viewers would see none."""
    source = (manifest.width or 0, manifest.height or 0)
    framings = {spec.name: _framing(spec, source) for spec in recipe.variants}

    def placeholder(variant: VariantResult) -> str | None:
        size = (variant.width, variant.height)
        whole = framings[variant.name] == _WHOLE and same_shape(source, size)
        return _background(manifest.features, size, whole=whole)

    pictures = pictures_of(
        manifest.variants, recipe.audience, lambda variant: framings[variant.name], placeholder
    )
    notes = tuple(
        f"the picture of {picture.width} × {picture.height} px: {picture.unserved:.1%} of viewers "
        f"accept none of its formats ({', '.join(source.format for source in picture.sources)}); "
        "add jpeg, or png where there is alpha"
        for picture in pictures
        if picture.unserved > _UNSERVED_MOST
    )
    return manifest.model_copy(update={"pictures": pictures, "notes": (*manifest.notes, *notes)})


def _framing(spec: VariantSpec, source: tuple[int, int]) -> str:
    """What of the image a variant shows, such that only equals may replace each other."""
    if spec.fit in ("fit", "cover"):
        return _WHOLE
    box = (spec.width or 0, spec.height or 0)
    loose = spec.fit == "pad" and not spec.enlarge and source[0] <= box[0] and source[1] <= box[1]
    # A cut without scaling, and a border around an image that is not enlarged, depend on the box.
    return spec.name if spec.fit == "crop" or loose else spec.fit


def _background(features: Features | None, size: tuple[int, int], *, whole: bool) -> str | None:
    """CSS: the dominant colour, and over it a blur of the image where all of it is shown.

    None where the features hold neither, and with alpha, through which it would stay visible.
    """
    if features is None or features.has_alpha:
        return None
    color = features.colors[0].hex if features.colors else ""
    blur = ""
    if features.thumbhash and whole:
        image = blurred(base64.b64decode(features.thumbhash), *size)
        blur = f"url(data:image/webp;base64,{base64.b64encode(image).decode()}) center/cover"
    return f"{color} {blur}".strip() or None
