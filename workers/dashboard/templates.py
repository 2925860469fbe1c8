"""Where pages come from: our folder, then Flower's; and our entries in Flower's navigation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tornado.template import Loader, Template

OURS: Final = Path(__file__).with_name("templates")
_NAVBAR: Final = "navbar.html"


class Templates(Loader):
    """Flower's templates and ours, by one name each."""

    def _create_template(self, name: str) -> Template:
        ours = OURS / name
        theirs = Path(self.root) / name
        if name == _NAVBAR:
            text = _with_entries(theirs.read_text("utf-8"), ours.read_text("utf-8"))
        else:
            text = (ours if ours.exists() else theirs).read_text("utf-8")
        return Template(text, name=name, loader=self)


def _with_entries(navbar: str, entries: str) -> str:
    """Flower's navigation with our name on it, and our entries before its own."""
    navbar = navbar.replace("<span>Flower</span>", "<span>pixfleet</span>")
    return re.sub(r"<ul class=\"app-nav navbar-nav\">", lambda ul: ul[0] + entries, navbar, count=1)
