"""What a user names (a file, a folder, a glob, a bucket's prefix, a URL) → the images in it."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pixfleet.config.urls import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE_SUFFIXES: Final = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif"),
        *(".avif", ".avifs", ".heic", ".heif", ".hif", ".jxl", ".tif", ".tiff", ".bmp", ".dib"),
        *(".jp2", ".j2k", ".ico", ".svg", ".psd"),
    }
)
"""What is submitted from a folder: also what pixfleet cannot read, so that it says so."""


class SourceNotFoundError(ValueError):
    """What the user named does not exist or holds no image; says which."""


@dataclass(frozen=True, slots=True)
class Source:
    """One image to submit."""

    url: str
    """absolute path, s3:// or https:// URL"""
    name: str
    """path below the named folder or prefix: where its variants go below the output"""
    root: str | None
    """folder that the file must not leave through a link"""
    listed_bytes: int | None = None
    """its size where a listing told it, as that of a bucket does"""


def find_sources(named: str, *, without: str | None = None) -> Iterator[Source]:
    """The images that a user names, in a stable order.

    Files in hidden folders and below ``without`` (an output inside the input) are passed over, as
    are files of a folder whose suffix is no image's; a file named itself is always taken.

    Raises:
        SourceNotFoundError: nothing there, or nothing in it that may be an image.
    """
    found = False
    for source in _found(named, without):
        found = True
        yield source
    if not found:
        raise SourceNotFoundError(
            f"{named}: no images there; looked for {', '.join(sorted(IMAGE_SUFFIXES))}"
        )


def _found(named: str, without: str | None) -> Iterator[Source]:
    if named.startswith("s3://"):
        yield from _in_bucket(named)
        return
    if of_web := file_name(named):
        yield Source(named, of_web, None)
        return
    path = Path(named).expanduser()
    if path.is_dir():
        output = Path(without).resolve() if without and "://" not in without else None
        if path.resolve() == output:
            # A picture's variants lie in a folder of the picture's own name.
            raise SourceNotFoundError(
                f"{named}: the output may not be the input folder itself; name one beside or in it"
            )
        yield from _in_folder(path.resolve(), output)
        return
    # A file's name may hold a glob's characters, so the file itself comes first.
    if os.path.lexists(path):
        yield Source(str(path.absolute()), path.name, None)
        return
    matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute patterns too)
    if not matches:
        raise SourceNotFoundError(f"{named}: no such file or folder, and no file matches it")
    files = [Path(match).absolute() for match in matches if Path(match).is_file()]
    if not files:
        return
    common = Path(os.path.commonpath([file.parent for file in files]))
    for file in files:
        yield Source(str(file), str(file.relative_to(common)), None)


def _in_folder(folder: Path, without: Path | None) -> Iterator[Source]:
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and here / f != without)
        for file in sorted(files):
            if not file.startswith(".") and Path(file).suffix.lower() in IMAGE_SUFFIXES:
                path = here / file
                yield Source(str(path), path.relative_to(folder).as_posix(), str(folder))


def _in_bucket(url: str) -> Iterator[Source]:
    # Half of the command line's start-up, which only a bucket is worth.
    import boto3  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    try:
        pages = boto3.client("s3").get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                key = entry["Key"]
                if Path(key).suffix.lower() in IMAGE_SUFFIXES or key == prefix:
                    below = key[len(prefix) :].lstrip("/") if key != prefix else Path(key).name
                    yield Source(f"s3://{bucket}/{key}", below or key, None, entry["Size"])
    except (BotoCoreError, ClientError) as error:
        raise SourceNotFoundError(f"{url}: {error}") from None
