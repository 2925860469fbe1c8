"""Folders and buckets that a setting opens: ``allow``, ``deny``, or a list of them."""

from __future__ import annotations

import os

from pixfleet.config.access import ANY, NONE
from pixfleet.workers.errors import OutputError

from .objects import ObjectStore, local_path


def holds(places: str, url: str) -> bool:
    """Does a path or URL, symbolic links resolved, lie in one of the places?"""
    if places == ANY:
        return True
    if places == NONE:
        return False
    return any(_within(place.strip().rstrip("/"), url) for place in places.split(","))


def open_output(url: str, places: str) -> ObjectStore:
    """The store of a job's or a batch's output.

    Raises:
        OutputError: ``output_not_allowed``: outside the places; or no folder and no bucket.
    """
    if not holds(places, url):
        raise OutputError(
            "output_not_allowed",
            f"{url} is not among the outputs of this fleet",
            "write to a place that PIXFLEET_OUTPUTS_ALLOWED names on the workers, or add this one",
        )
    return ObjectStore(url)


def _within(place: str, url: str) -> bool:
    if url.startswith("s3://"):
        return f"{url.rstrip('/')}/".startswith(f"{place}/") and ".." not in url.split("/")
    path = local_path(url)
    if path is None or place.startswith("s3://"):
        return False
    top, real = os.path.realpath(place), os.path.realpath(path)
    return real == top or real.startswith(f"{top.rstrip('/')}/")
