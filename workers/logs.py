"""Logs of a fleet's processes: one line each on stderr, for people or as JSON, ours and all others.

Lines of a step carry what it is of (``step_begins``), whoever writes them. What may be secret in a
URL is left out, and nothing in a line can end it or move a terminal's cursor.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars

from pixfleet.config.contract import TASK_PREPARE
from pixfleet.config.urls import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import EventDict, Processor

    from pixfleet.config.monitor_settings import LogSettings

_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_HOST: Final = re.compile(r"[^:]*(:\d*)?|\[[^\]]*\](:\d*)?")
_PER_TASK: Final = ("celery.worker.strategy", "celery.app.trace")
"""Celery's lines of a step received and ended; ours say more, and once."""


def set_up(
    settings: LogSettings, level: int | str = logging.INFO, file: str = "", *, others: bool = True
) -> None:
    """Have our lines of ``level`` and above written, and ``others``, the standard library's.

    To ``file`` where one is given (it is appended to), else to stderr. Called again it replaces
    what was.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if file else 2
    known = logging.getLevelNamesMapping()
    number = level if isinstance(level, int) else known.get(level.upper(), logging.INFO)
    renderers = _renderers(settings, descriptor)
    facts: list[Processor] = [
        merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*facts, _add_name, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *name: _Lines(descriptor, *name),
    )
    if not others:
        return
    handler = _Handler(descriptor)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*facts, structlog.stdlib.add_logger_name, _add_task],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in _PER_TASK:
        quiet = number > logging.DEBUG
        logging.getLogger(name).setLevel(logging.WARNING if quiet else logging.NOTSET)
    logging.captureWarnings(capture=True)


def step_begins(facts: Mapping[str, Any]) -> None:
    """From here on this process's lines are of a step; ``facts`` say which."""
    clear_contextvars()
    bind_contextvars(**facts)


def step_ends() -> None:
    """Further lines are of no step."""
    clear_contextvars()


def say(message: str, *_: object) -> None:
    """What Celery prints when it is told to go, also from a signal's handler, as a line."""
    structlog.get_logger("celery.apps.worker").warning(message.strip())


class _Lines:
    """Whole lines on a descriptor, without a lock: a child forked while it is held would hang."""

    def __init__(self, descriptor: int, name: str = "pixfleet") -> None:
        self.name = name
        self._descriptor = descriptor

    def msg(self, text: str) -> None:
        os.write(self._descriptor, f"{text}\n".encode(errors="replace"))

    debug = info = warning = error = critical = exception = log = msg


class _Handler(logging.Handler):
    """The same for the standard library's records; its lock is made anew after a fork."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._lines = _Lines(descriptor)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.msg(self.format(record))
        except Exception:  # noqa: BLE001 (as the standard library's handlers)
            self.handleError(record)


def _renderers(settings: LogSettings, descriptor: int) -> list[Processor]:
    terminal = os.isatty(descriptor)
    people = settings.format == "console" or (settings.format == "auto" and terminal)
    if people:
        console = structlog.dev.ConsoleRenderer(
            colors=terminal, exception_formatter=structlog.dev.plain_traceback
        )
        return [structlog.processors.format_exc_info, _without_secrets, _on_one_line, console]
    return [
        structlog.processors.format_exc_info,
        _without_secrets,
        structlog.processors.JSONRenderer(),
    ]


def _add_name(logger: Any, _method: str, event: EventDict) -> EventDict:
    event["logger"] = logger.name
    return event


def _add_task(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Celery's own lines about a step, where they are written outside of it."""
    data = getattr(event.get("_record"), "data", None)
    if isinstance(data, dict) and "id" in data and "name" in data:
        event.setdefault("task", data["name"])
        if data["name"] == TASK_PREPARE:
            event.setdefault("job_id", data["id"])
    return event


def _without_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str) and "://" in value:
            event[name] = _URL.sub(lambda found: _shown(found[0]), value)
    return event


def _shown(url: str) -> str:
    """The rule that manifests follow; other schemes, such as Redis', have no user either."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if "@" not in authority and not _HOST.fullmatch(authority):  # a password with a slash
        authority, slash, path = rest.rpartition("@")[2].partition("/")
    return shown(f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}")


def _on_one_line(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A traceback has lines of its own; whatever else has them was not written by us."""
    for name, value in event.items():
        if isinstance(value, str):
            text = value.translate(_CONTROL)
            event[name] = text.replace("\\x0a", "\n    ") if name == "exception" else text
    return event


def for_children_of(settings: LogSettings) -> str:
    """The format for processes whose lines this one passes on to its own stdout."""
    if settings.format != "auto":
        return settings.format
    return "console" if sys.stdout.isatty() else "json"
