"""The page of ``pixfleet compare``: every picture inside it, so that it opens anywhere."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from .compare_figures import figures
from .imaging.codec import Metadata
from .imaging.codecs import decode_own
from .imaging.webp import lossless_webp
from .page import render_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pixfleet.config.results import Failure
    from pixfleet.producer.sources import Source

    from .comparison import Comparison
    from .match import Shown

_SCRIPTS: Final = (
    *("page.js", "stage.js"),
    *("compare_heat.js", "compare_card.js", "compare.js"),
)


def picture_line(comparison: Comparison, background: str) -> str:
    """One picture as a line of JSON: its figures, and all files that the page shows of it.

    ``background`` is the ``#rrggbb`` that formats without alpha were laid on.
    """
    files: dict[bytes, int] = {}
    line: dict[str, Any] = {
        **figures(comparison),
        "source": None,  # where it lies is nobody's business who is sent the page
        "background": background,
        "original": _place(files, lossless_webp(comparison.pixels, Metadata())),
        "region": base64.b64encode(_mask_png(comparison.region)).decode(),
        "faces": [
            {"x": f.x, "y": f.y, "width": f.width, "height": f.height, "score": f.score}
            for f in comparison.faces
        ],
    }
    for told, made in zip(line["formats"], comparison.formats, strict=True):
        told["habit"]["file"] = _place(files, _browser_file(made.format, made.habit))
        for promise, match in zip(told["promises"], made.matches, strict=True):
            for role in ("pixfleet", "same_bytes", "same_score"):
                promise[role]["file"] = _place(
                    files, _browser_file(made.format, getattr(match, role))
                )
    line["files"] = [_data_uri(data) for data in files]
    return json.dumps(line, separators=(",", ":"))


def render_comparison(
    lines: Sequence[str], totals: dict[str, Any], failures: Iterable[tuple[Source, Failure]]
) -> bytes:
    """The page, UTF-8, which loads nothing at all.

    ``lines`` come from ``picture_line``, ``totals`` from ``totals_of``; ``failures`` are pairs of a
    source and why it, or one of its formats, is not there.
    """
    groups: dict[str, dict[str, Any]] = {}
    for source, failure in failures:
        group = groups.setdefault(failure.code, {"count": 0, "items": []})
        group["count"] += 1
        group["items"].append([source.name, failure.message, failure.hint, failure.variant])
    return render_page(
        "compare.html",
        title="pixfleet against fixed quality",
        styles=("report.css", "compare.css"),
        scripts=_SCRIPTS,
        data={
            "totals": json.dumps({**totals, "failures": groups}),
            "images": "\n".join(lines),
        },
    )


def _place(files: dict[bytes, int], data: bytes) -> int:
    """The file's place on the page; one that was met before keeps its own."""
    return files.setdefault(data, len(files))


def _browser_file(format_name: str, shown: Shown) -> bytes:
    """The file itself, or of JPEG XL, which browsers do not show, its pixels without loss."""
    if format_name != "jxl":
        return shown.data
    return lossless_webp(decode_own(format_name, shown.data), Metadata())


def _data_uri(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        kind = image.get_format_mimetype()
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _mask_png(mask: NDArray[np.bool_]) -> bytes:
    """White where the mask holds, one bit a pixel."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
