"""Where pixfleet keeps its state on one machine, and how commands find a broker that runs there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

BROKER_URL_FILE: Final = "broker.url"
"""In the state folder while an embedded broker runs: its URL."""


def state_dir() -> Path:
    """``PIXFLEET_STATE``, else the user's cache folder."""
    if named := os.environ.get("PIXFLEET_STATE"):
        return Path(named).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pixfleet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pixfleet"


def pulse_dir(state: Path | None = None) -> Path:
    """Where workers of this machine write their signs of life."""
    return (state or state_dir()).expanduser().absolute() / "workers"


def running_broker() -> str | None:
    """URL of the embedded broker that runs here, unless PIXFLEET_BROKER names another."""
    if os.environ.get("PIXFLEET_BROKER"):
        return None
    try:
        url = (state_dir() / BROKER_URL_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    socket = url.removeprefix("redis+socket://").split("?")[0]
    return url if Path(socket).exists() else None
