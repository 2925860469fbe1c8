"""All advice there is, in one list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .machines import concurrency, machine
from .memo import memo
from .recipes import dearest_stage, effort, features, floors, formats
from .terms import idle, reservation, spot
from .traffic import failures, overhead, requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .advice import Advice
    from .record import Record

RULES: Final[tuple[Callable[[Record], Iterable[Advice]], ...]] = (
    machine,
    spot,
    reservation,
    concurrency,
    idle,
    dearest_stage,
    effort,
    formats,
    floors,
    features,
    memo,
    requests,
    overhead,
    failures,
)
_ORDER: Final = ("gain", "fine", "unknown")


def advise(record: Record) -> list[Advice]:
    """Every rule's advice: what saves most first, then what is well, then what is not known."""
    given = [advice for rule in RULES for advice in rule(record)]
    return sorted(given, key=lambda one: (_ORDER.index(one.verdict), -one.saves_usd))
