"""The choice of format and effort: what is tried, what that gave, and why the winner won."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from pixfleet.workers.errors import EncoderLostError

from .candidate import BYTES_PER_POINT, Abandoned
from .efforts import Seen, efforts_of
from .encoded import Considered, Encoded, FormatFailure
from .floors import FloorOriginal
from .reckoning import TYPICAL_BYTES_PER_PX, Reckoning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .efforts import EffortCurves
    from .goal import Goal
    from .original import Original

_LIKELY_SMALLEST_FIRST: Final = ("avif", "jxl", "webp", "jpeg", "heic", "png")
_GRAPHICS_SMALLEST_FIRST: Final = ("webp", "png", "avif", "jxl", "jpeg", "heic")

# A first search tells what bytes there are to be saved; efforts much dearer than the least wait.
_OPENING_CPU: Final = 2.0
# The share of the best one's bytes that a format not yet tried may take, at best.
_HOPED_SHARE: Final = 0.6
# Encodings of a search that another effort of its format went before, and of one that ends near.
_KNOWING_PROBES, _NEARING_PROBES = 1.5, 2.5
# A search that ends this near over its target spares, on average, such a share of the bytes.
_NEAR: Final = 0.1
_SPARED_BY_NEARING: Final = 0.02
_LEAST_GAIN: Final = 0.01
_MOST_FINER: Final = 2
_BEYOND: Final = "beyond max_cpu_s_per_mp"
_LEAST_SEEN_PX: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Reckoned:
    """What to expect of an effort, and why it should not be tried; empty: it should."""

    name: str
    effort: int
    size: int
    cpu_s: float
    weight: float
    why: str


class Attempt(Protocol):
    """Encodes a format at an effort."""

    def __call__(
        self, name: str, effort: int, bytes_to_beat: int | None, /, *, near: float | None
    ) -> Encoded | FormatFailure:
        """The file, searched until its score is ``near`` over the target.

        None leaves that to the encoder's scale.

        Raises:
            Abandoned: it would take clearly more than ``bytes_to_beat``.
        """
        ...


class Choice:
    """Tries formats and efforts of one image, the most promising first, until no other can win.

    What is spent is spent: another candidate is tried where its expected bytes and CPU together
    weigh less than the bytes of the best so far.

    Args:
        original: the image.
        goal: what is to be least.
        curves: what to expect of the efforts.
        attempt: encodes one format at one effort.
    """

    def __init__(
        self,
        original: Original,
        goal: Goal,
        curves: EffortCurves,
        attempt: Attempt,
    ) -> None:
        self._original = original
        self._goal = goal
        self._attempt = attempt
        self._px = original.width * original.height
        self._expect = Reckoning(
            curves,
            self._px,
            graphic=original.graphic,
            floors=isinstance(original, FloorOriginal),
        )
        self._made: dict[tuple[str, int], Encoded] = {}
        self._others: dict[tuple[str, int], Considered] = {}
        self._failures: list[FormatFailure] = []
        self._best: tuple[str, int] | None = None
        self._spent_s = 0.0

    def of(self, formats: Sequence[str]) -> Encoded | FormatFailure:
        """The best of these formats at the effort that serves the goal."""
        for name in self._in_order(formats):
            effort = self._opening(name)
            why = self._hopeless(name, effort)
            if why is None:
                self._try(name, effort)
            else:
                self._leave(name, effort, None, why)
        for _ in range(_MOST_FINER):
            finer = self._finer(formats)
            if finer is None:
                break
            self._try(*finer)
        if self._best is None:
            return self._failures[0]
        return replace(
            self._made[self._best],
            cpu_s=self._spent_s,
            passed_over=tuple(
                one for one in self._failures if isinstance(one.error, EncoderLostError)
            ),
            considered=tuple(self._considered()),
            seen=tuple(self._seen()),
        )

    def _in_order(self, formats: Sequence[str]) -> list[str]:
        order = _GRAPHICS_SMALLEST_FIRST if self._original.graphic else _LIKELY_SMALLEST_FIRST
        likely = sorted(formats, key=order.index)
        if self._goal.byte_weight:
            return likely
        return sorted(likely, key=lambda name: self._expect.cpu_s(name, efforts_of(name)[0]))

    def _opening(self, name: str) -> int:
        """The effort for typical bytes, among those not much dearer than the least."""
        least, *others = efforts_of(name)
        size = TYPICAL_BYTES_PER_PX * self._px
        cpu_s = {effort: self._expect.cpu_s(name, effort) for effort in (least, *others)}
        dear_s = _OPENING_CPU * cpu_s[least]
        near = [one for one in others if cpu_s[one] <= dear_s and self._affordable(cpu_s[one])]
        return min(
            (least, *near),
            key=lambda effort: self._goal.weight(
                name, size * self._expect.share(name, effort), cpu_s[effort]
            ),
        )

    def _affordable(self, cpu_s: float) -> bool:
        """By the curves and not the clock, so that a busy machine makes the same files."""
        tried = [
            *self._made,
            *(at for at, one in self._others.items() if one.verdict != "not tried"),
        ]
        spent_s = sum(self._expect.cpu_s(name, effort) for name, effort in tried)
        return spent_s + cpu_s <= self._goal.max_cpu_s_per_mp * self._px / 1e6

    def _hopeless(self, name: str, effort: int) -> str | None:
        """Why a format cannot become the best; None where it may."""
        best = self._best and self._made[self._best]
        if not best or not best.reached:
            return None
        if self._original.graphic:
            return None  # formats differ too much on drawn pictures for any guess
        if name == "png":
            return "a photograph"
        cpu_s = self._expect.cpu_s(name, effort)
        hoped = _HOPED_SHARE * len(best.data)
        if self._goal.weight(name, hoped, cpu_s) >= self._to_beat(best):
            return "its CPU alone outweighs what it may save"
        finer = [one.cpu_s for one in self._reckoned([best.format]) if not one.why]
        if finer and not self._affordable(cpu_s + min(finer)):
            return f"the CPU is better spent on {best.format}: {_BEYOND}"
        return None

    def _to_beat(self, best: Encoded) -> float:
        """The weight of the best one's bytes."""
        return self._goal.weight(best.format, len(best.data), 0.0)

    def _try(self, name: str, effort: int) -> None:
        best = self._best and self._made[self._best]
        # Once a format is measured its next effort is foretold, and is searched to the end.
        foretold = any(made == name for made, _ in self._made)
        to_beat = len(best.data) if best and best.reached and not foretold else None
        start_s = time.thread_time()
        try:
            answer = self._attempt(name, effort, to_beat, near=self._near(name, effort))
        except Abandoned as abandoned:
            answer = abandoned
        cpu_s = time.thread_time() - start_s
        self._spent_s += cpu_s
        match answer:
            case Abandoned():
                self._others[name, effort] = Considered(
                    name,
                    effort,
                    None,
                    answer.expected_bytes,
                    None,
                    cpu_s,
                    "given up",
                    "will not come below the best",
                )
            case FormatFailure():
                self._failures.append(answer)
                self._others[name, effort] = Considered(
                    name, effort, None, None, None, cpu_s, "failed", answer.error.message
                )
            case Encoded():
                self._made[name, effort] = replace(answer, cpu_s=cpu_s)
                if best is None or self._better(answer, best):
                    self._best = name, effort

    def _near(self, name: str, effort: int) -> float | None:
        """How near to the target a search has to end, where further probes pay in bytes."""
        known = self._known_bytes(name)
        if known is None:
            return None
        size = known[0]
        spared = self._goal.weight(name, size * _SPARED_BY_NEARING, 0.0)
        probe_s = self._expect.cpu_s(name, effort, probes=1.0, size=size)
        if self._goal.weight(name, 0.0, probe_s) > spared:
            return None
        nearing_s = self._expect.cpu_s(name, effort, probes=_NEARING_PROBES, size=size)
        return _NEAR if self._affordable(nearing_s) else None

    def _better(self, one: Encoded, other: Encoded) -> bool:
        if one.reached != other.reached:
            return one.reached
        if not one.reached:
            return (one.score or 0.0) > (other.score or 0.0)
        return self._to_beat(one) < self._to_beat(other)

    def _finer(self, formats: Sequence[str]) -> tuple[str, int] | None:
        """The effort beyond those tried that should weigh least; None where none should win."""
        reckoned = list(self._reckoned(formats))
        for one in reckoned:
            if one.why:
                self._leave(one.name, one.effort, one.size, one.why, one.cpu_s)
        promising = [one for one in reckoned if not one.why]
        if not promising:
            return None
        least = min(promising, key=lambda one: one.weight)
        return least.name, least.effort

    def _reckoned(self, formats: Sequence[str]) -> Iterator[_Reckoned]:
        """The efforts beyond those tried, of formats whose bytes are known."""
        best = self._best and self._made[self._best]
        if not best or not best.reached or best.metric != "ssimulacra2":
            return
        for name in formats:
            known = self._known_bytes(name)
            if known is None:
                continue
            size, at = known
            efforts = efforts_of(name)
            for effort in efforts[efforts.index(at) + 1 :]:
                if (name, effort) in self._made or (name, effort) in self._others:
                    continue
                expected = size * self._expect.share(name, effort) / self._expect.share(name, at)
                cpu_s = self._expect.cpu_s(name, effort, probes=_KNOWING_PROBES, size=size)
                weight = self._goal.weight(name, expected, cpu_s)
                why = ""
                if self._goal.weight(name, expected, 0.0) >= self._to_beat(best):
                    why = "should not come below the best"
                elif weight > (1 - _LEAST_GAIN) * self._to_beat(best):
                    why = "its CPU outweighs the bytes it should save"
                elif not self._affordable(cpu_s):
                    why = _BEYOND
                yield _Reckoned(name, effort, round(expected), cpu_s, weight, why)

    def _known_bytes(self, name: str) -> tuple[int, int] | None:
        """What the greatest effort tried took, or was going to take, and that effort."""
        found: tuple[int, int] | None = None
        for effort in efforts_of(name):
            made, other = self._made.get((name, effort)), self._others.get((name, effort))
            if made is not None and made.reached and made.metric == "ssimulacra2":
                found = len(made.data), effort
            elif other is not None and other.verdict == "given up" and other.size:
                found = other.size, effort
        return found

    def _leave(
        self, name: str, effort: int, size: int | None, why: str, cpu_s: float | None = None
    ) -> None:
        expected_s = self._expect.cpu_s(name, effort) if cpu_s is None else cpu_s
        self._others[name, effort] = Considered(
            name, effort, None, size, None, expected_s, "not tried", why
        )

    def _considered(self) -> list[Considered]:
        """All of them, the best first, then by bytes."""
        measured = [
            Considered(
                format=name,
                effort=effort,
                quality=made.quality,
                size=len(made.data),
                score=made.score,
                cpu_s=made.cpu_s,
                verdict=verdict,
                reason=self._reason(made, verdict),
            )
            for (name, effort), made in self._made.items()
            for verdict in [self._verdict(name, effort)]
        ]
        return sorted(
            [*measured, *self._others.values()],
            key=lambda one: (one.verdict != "chosen", one.size is None, one.size),
        )

    def _verdict(self, name: str, effort: int) -> str:
        if (name, effort) == self._best:
            return "chosen"
        return "beaten" if self._made[name, effort].reached else "missed"

    def _reason(self, made: Encoded, verdict: str) -> str:
        best = self._best and self._made[self._best]
        if verdict == "missed" or not best or not made.reached:
            return f"scores {made.score:.1f} of {made.target:g}" if made.score is not None else ""
        if verdict == "beaten":
            return f"{len(made.data) / len(best.data) - 1:+.1%} bytes"
        if not self._goal.byte_weight:
            return "the least CPU"
        return "the least cost" if self._goal.cpu_s_weight else "the fewest bytes"

    def _seen(self) -> list[Seen]:
        if self._px < _LEAST_SEEN_PX:
            return []
        seen: list[Seen] = []
        for (name, effort), made in self._made.items():
            if made.metric != "ssimulacra2" or made.floors is not None or self._original.graphic:
                continue
            share: float | None = None
            least = self._made.get((name, efforts_of(name)[0]))
            if least is not None and least.reached and made.reached and least is not made:
                higher = (made.score or 0.0) - (least.score or 0.0)
                same_score = math.exp(-BYTES_PER_POINT * higher)
                share = len(made.data) / len(least.data) * same_score
            cpu_s = made.cpu_s / made.probes / self._expect.busy(len(made.data))
            cpu_s_per_mp = cpu_s / (self._px / 1e6)
            seen.append(Seen(name, effort, cpu_s_per_mp, share))
        return seen
