"""One self-contained HTML page: our own style and scripts, data as inert JSON, no network."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def render_page(
    template: str,
    *,
    title: str,
    styles: Sequence[str],
    scripts: Sequence[str],
    data: Mapping[str, str],
) -> bytes:
    """The page as UTF-8, from files that lie beside this module.

    ``data`` maps a placeholder of the template to JSON, which the page reads from script elements
    that do not run. Its content security policy lets nothing but our own code run and nothing but
    pictures load, from ``data:`` URIs and from disk.
    """
    script = "\n".join(_asset(name) for name in scripts)
    style = "\n".join(_asset(name) for name in styles)
    # Written in one pass over the template, so that no value is ever taken for a placeholder.
    values = {
        "title": html.escape(title),
        "policy": html.escape(_policy(script, style)),
        "style": style,
        "script": script,
        **{name: _inert(text) for name, text in data.items()},
    }
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _asset(template))
    return page.encode("utf-8", "backslashreplace")


def _inert(text: str) -> str:
    """JSON that cannot end the script element it lies in."""
    return text.replace("<", "\\u003c")


def _policy(script: str, style: str) -> str:
    return (
        f"default-src 'none'; img-src 'self' file: data:; "
        f"script-src '{_digest(script)}'; style-src '{_digest(style)}'"
    )


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()


def _asset(name: str) -> str:
    return resources.files("pixfleet.workers").joinpath(name).read_text("utf-8")
