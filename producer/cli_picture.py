"""The command ``pixfleet picture``: HTML for pages from a manifest."""

from __future__ import annotations

import re
import sys
from pathlib import Path  # noqa: TC003 (typer reads annotations at run time)
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from pixfleet.config.contract import explain
from pixfleet.config.results import Manifest

from .picture import FULL_WIDTH, picture_html
from .terminal import JsonOption, fail, messages, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator


def picture(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST", exists=True, dir_okay=False, help="manifest.jsonl or manifest.json"
        ),
    ],
    base_url: Annotated[
        str, typer.Option(metavar="URL", help="where the output is served; default: relative paths")
    ] = "",
    sizes: Annotated[
        str,
        typer.Option(
            metavar="SIZES", help="how wide the page shows them, as HTML's sizes, e.g. 50vw"
        ),
    ] = FULL_WIDTH,
    json_: JsonOption = False,
) -> None:
    """Print a <picture> for every image of a manifest.

    Each browser takes the smallest format that it accepts, in the width that fits. Put what the
    image shows into the empty alt.
    """
    try:
        snippets = [
            {
                "source": answer.source,
                "width": picture.width,
                "height": picture.height,
                "html": picture_html(picture, base_url=base_url, sizes=sizes),
            }
            for answer in _manifests(manifest)
            for picture in answer.pictures
        ]
    except ValidationError as error:
        fail(f"{manifest} is no manifest of this version: {explain(error)}")
    except ValueError as error:
        fail(str(error))
    if json_:
        print_json(snippets)
        return
    for snippet in snippets:
        # Two dashes would end the comment.
        source = re.sub("-(?=-)", "- ", str(snippet["source"]))
        sys.stdout.write(f"<!-- {source} -->\n{snippet['html']}\n\n")
    if not snippets:
        messages.print(f"{manifest} names no variant, so there is no picture")


def _manifests(file: Path) -> Iterator[Manifest]:
    """Of a batch, a line an image, or of one job."""
    text = file.read_text(encoding="utf-8")
    for document in text.splitlines() if file.suffix == ".jsonl" else [text]:
        yield Manifest.model_validate_json(document)
