"""What is remembered of a computation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class MemoValue:
    """A result to be remembered."""

    meta: Mapping[str, Any]
    """JSON"""
    blobs: Sequence[bytes]
    """in an order that ``meta`` knows the meaning of"""
    cost_usd: Decimal
    """measured cost of having computed it"""
    cpu_s: float


@dataclass(frozen=True, slots=True)
class MemoLinks:
    """A result to be remembered whose blobs are those of other entries, by their SHA-256."""

    meta: Mapping[str, Any]
    sha256s: Sequence[str]
    cost_usd: Decimal
    cpu_s: float


@dataclass(frozen=True, slots=True)
class MemoEntry:
    """A result from the memo; its blobs were read and their hashes verified."""

    meta: Mapping[str, Any]
    blobs: tuple[bytes, ...]
    cost_usd: Decimal
    """measured cost of the computation that it spares"""
    cpu_s: float


@dataclass(frozen=True, slots=True)
class MemoStats:
    """How the memo has served since its index began."""

    hits: int
    misses: int
    entries: int
    bytes: int
    saved_usd: Decimal
    saved_cpu_s: float


@dataclass(frozen=True, slots=True)
class Evicted:
    """What an eviction removed."""

    entries: int
    bytes: int
