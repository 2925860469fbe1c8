"""A job's source, fetched, hashed and checked, before a pixel is decoded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pixfleet.config.contract import ImageJob, Recipe
from pixfleet.config.recipes import RecipeInvalidError, RecipeNotFoundError, load_recipe

from .errors import LimitError, PermanentError, RecipeError
from .imaging.header import Header, Limits, read_header
from .storage.guard import open_source

if TYPE_CHECKING:
    from pixfleet.config.settings import Settings
    from pixfleet.config.worker_settings import LimitSettings

    from .spend.meter import Meter


@dataclass(frozen=True, slots=True)
class Intake:
    """What is known of a job before decoding."""

    job: ImageJob
    recipe: Recipe
    data: bytes
    sha256: str
    header: Header

    @property
    def animated(self) -> bool:
        """Are all frames to be kept, where a format can?"""
        return self.header.frames > 1 and self.recipe.animation == "keep"


def recipe_of(job: ImageJob, folder: str) -> Recipe:
    """The job's recipe.

    Raises:
        RecipeError: unknown to this worker, or its file is faulty.
    """
    if isinstance(job.recipe, Recipe):
        return job.recipe
    if "/" in job.recipe or job.recipe.endswith(".toml"):
        # A producer reads its own files; a worker's are no business of who sends messages.
        raise RecipeError(
            "recipe_unknown",
            f"{job.recipe!r} is a file, and a message cannot name one",
            "send the recipe itself",
        )
    try:
        return load_recipe(job.recipe, folder)
    except RecipeNotFoundError as error:
        raise RecipeError(
            "recipe_unknown",
            str(error),
            "use a built-in name, send the recipe itself, or put its file into the folder that "
            "PIXFLEET_RECIPES_FOLDER names on the workers",
        ) from None
    except RecipeInvalidError as error:
        raise RecipeError("recipe_invalid", str(error), "mend the recipe's file") from None


def limits_of(settings: LimitSettings) -> Limits:
    """The limits that imaging enforces."""
    return Limits(
        max_file_bytes=settings.max_file_bytes,
        max_pixels=settings.max_pixels,
        max_side_px=settings.max_side_px,
        max_frames=settings.max_frames,
    )


def fetch(job: ImageJob, settings: Settings, meter: Meter) -> tuple[bytes, str]:
    """The source's bytes and their SHA-256 in hex.

    Raises:
        SourceError: it cannot be had.
        AddressError: it lies where jobs may not go.
        LimitError: the file is too large.
        StoreUnavailableError: the store did not answer.
    """
    with meter.stage("fetch") as passage:
        data = open_source(
            job.source,
            root=job.source_root,
            max_bytes=settings.limits.max_file_bytes,
            rules=settings.sources,
            on_request=meter.request,
        )
        meter.bytes_in(len(data))
        passage.bytes = len(data)
        return data, hashlib.sha256(data).hexdigest()


def inspect(data: bytes, recipe: Recipe, settings: LimitSettings) -> Header:
    """The header, within all limits and the recipe's policy on animation.

    Raises:
        DecodeError: not an image that pixfleet reads.
        LimitError: too large in some dimension.
        PermanentError: the recipe refuses animations.
    """
    header = read_header(data, limits_of(settings))
    if header.frames > 1 and recipe.animation == "refuse":
        raise PermanentError(
            "animation_refused",
            f"the image has {header.frames} frames and recipe {recipe.name!r} refuses animations",
            'set animation = "keep" or "first" in the recipe',
        )
    total_pixels = header.width * header.height * header.frames
    kept = recipe.animation == "keep" and header.frames > 1
    if kept and total_pixels > settings.max_animation_pixels:
        raise LimitError(
            "animation_too_many_pixels",
            f"{header.frames} frames of {header.width} x {header.height} px are "
            f"{total_pixels:,} px together; the limit is {settings.max_animation_pixels:,}",
            'raise PIXFLEET_LIMITS_MAX_ANIMATION_PIXELS, or set animation = "first"',
        )
    return header
