"""The picture report: one page that shows a batch, opened from disk beside its variants.

Images arrive as a stream and leave as short lines of JSON, so a large batch needs neither all
manifests in memory nor all details on the page: what is left out, the page says.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from pixfleet.producer.picture import percent_encode

from .page import render_page
from .report_batch import Batch
from .storage.objects import local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pixfleet.config.results import BatchSummary, Manifest

_BROWSER_FORMATS: Final = frozenset({"jpeg", "png", "webp", "gif", "avif", "bmp"})
_SCRIPTS: Final = (
    *("page.js", "stage.js"),
    *("report.js", "report_score.js", "report_picture.js", "report_life.js"),
    *("report_card.js", "report_list.js"),
)


def browser_link(manifest: Manifest) -> str | None:
    """Where a browser finds the source, relative to the output where both are local folders.

    None: not a local file, or of a format that browsers do not show.
    """
    if manifest.format not in _BROWSER_FORMATS:
        return None
    source, output = local_path(manifest.source), local_path(manifest.output)
    if source is None:
        return None
    if output is None:
        return "file://" + percent_encode(source)
    return percent_encode(os.path.relpath(source, output))


def render_report(
    manifests: Iterable[Manifest],
    summary: BatchSummary,
    *,
    title: str = "pixfleet",
    wall_s: float | None = None,
    source_link: Callable[[Manifest], str | None] = browser_link,
) -> bytes:
    """The report of a batch as one HTML page, UTF-8, which loads nothing but the pictures.

    ``summary`` gives the totals, ``wall_s`` the time from the first submit to the last result;
    the page lies in the output, so a variant is found by its path. ``source_link`` gives the URL
    of a source (a ``data:`` URI will do), or None where a browser cannot show it: then the best
    variant stands in and the page says so.

    Above 10,000 images the page holds a bare row for some of them, above 2,000 it leaves out some
    saliency maps, snippets and candidates, above 100,000 some images altogether; never those at the
    ends of a sort order.
    """
    batch = Batch(source_link)
    for manifest in manifests:
        batch.add(manifest)
    entries = batch.entries()
    totals = {**batch.totals(summary), "title": title, "wall_s": wall_s}
    return render_page(
        "report.html",
        title=title,
        styles=("report.css",),
        scripts=_SCRIPTS,
        data={
            "totals": json.dumps(totals),
            "rows": "\n".join(entry.row for entry in entries),
            "cards": "\n".join(entry.card or "" for entry in entries),
            "saliency": "\n".join(entry.saliency or "" for entry in entries),
            "pictures": "\n".join(entry.pictures or "" for entry in entries),
            "lives": "\n".join(entry.lives or "" for entry in entries),
        },
    )
