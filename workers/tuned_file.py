"""The file of settings that tuning ends with: a shell's environment, each below its evidence."""

from __future__ import annotations

import datetime as dt
import os
import re
from typing import TYPE_CHECKING, Final

from .tuned import HEADS, findings, heading, rows, shrinking, title

if TYPE_CHECKING:
    from pathlib import Path

    from .outcome import Outcome
    from .tune import Tuning

_FIRST: Final = "# pixfleet tune"
"""What a file of settings begins with; no other file is written over."""


class OutFileError(ValueError):
    """The file of settings cannot be written there; says why."""


def check_place(path: Path) -> None:
    """Before any work: the file can be written, and nobody else's is in its place.

    Raises:
        OutFileError: its folder is missing or closed, or another file is there.
    """
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutFileError(f"{path}: its folder is missing or may not be written to")
    ours = not path.exists() or (
        path.is_file() and path.read_text("utf-8", "replace").startswith(_FIRST)
    )
    if not ours:
        raise OutFileError(f"{path} holds something else; name another file with --out")


def write_settings(found: Tuning, path: Path) -> None:
    """The file as a whole: settings, each below its evidence.

    Raises:
        OSError: it cannot be written there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(settings_text(found), encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def settings_text(found: Tuning) -> str:
    """Lines of a shell's environment; all else are comments."""
    head, *more = heading(found)
    lines = [f"{_FIRST}, {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC: {head}", *more]
    lines.append("use it: set -a; . ./FILE; set +a; pixfleet up")
    text = _comments(lines)
    for outcome in found.outcomes:
        table = ["  ".join(row) for row in rows(outcome)]
        heads = ["  ".join(HEADS)] if table else []
        text += "\n" + _comments([title(outcome), *heads, *table, *findings(outcome)])
        if outcome.experiment.place == "environment":
            text += "".join(f"{line}\n" for line in _settings(outcome))
    return text + "\n" + _comments([shrinking(found), *found.notes])


def _settings(outcome: Outcome) -> tuple[str, ...]:
    """What a file sets: what was chosen, or what was set before and stays."""
    if chosen := outcome.chosen:
        return chosen.lines
    for value in outcome.experiment.values:
        if value.label == outcome.experiment.present:
            return tuple(line for line in value.lines if line.partition("=")[0] in os.environ)
    return ()


def _comments(lines: list[str]) -> str:
    """Nothing in them may end the comment: a file's name could hold a line of its own."""
    plain = [re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", "?", line) for line in lines]
    return "".join(f"{line if line.startswith('#') else f'# {line}'}\n" for line in plain)
