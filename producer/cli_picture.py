"""The command ``pixfleet picture``: HTML for pages from a manifest."""

from __future__ import annotations

import re
import sys
from pathlib import Path  # noqa: TC003 (typer reads annotations at run time)
from typing import Annotated

import typer

from .manifests import read_manifests
from .picture import FULL_WIDTH, picture_html
from .terminal import JsonOption, fail, messages, print_json


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
        manifests = read_manifests(manifest)
        snippets = [
            {
                "source": answer.source,
                "width": picture.width,
                "height": picture.height,
                "html": picture_html(picture, base_url=base_url, sizes=sizes),
            }
            for answer in manifests
            for picture in answer.pictures
        ]
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
