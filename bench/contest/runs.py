"""One encoder over one set of masters, at one setting."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from judges.panel import SSIMULACRA2
from pixfleet.workers.imaging.encode import Encoded, encode_variant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from judges.panel import Judge, Panel
    from peers.peer import Peer
    from pixfleet.workers.imaging.encode import EncodeRequest
    from sets.masters import Master


@dataclass(frozen=True, eq=False)
class Run:
    """What came of it.

    Attributes:
        name: of the encoder.
        setting: a peer's quality, or pixfleet's target.
        masters: what was encoded.
        files: of each master.
        cpu_s: of each file, searching included.
        formats: of each file.
        probes: encodings tried for each file.
    """

    name: str
    setting: float
    masters: tuple[Master, ...]
    files: tuple[bytes, ...]
    cpu_s: tuple[float, ...]
    formats: tuple[str, ...]
    probes: tuple[int, ...]
    panel: Panel
    _said: dict[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])

    def by(self, judge: Judge) -> tuple[float, ...]:
        """What the judge says of each file; asked when first wanted."""
        if judge.name not in self._said:
            self._said[judge.name] = self.panel.values(judge, self.masters, self.files)
        return self._said[judge.name]

    def mean(self, judge: Judge) -> float:
        """The judge's, over the set."""
        return float(np.mean(self.by(judge)))

    def worst(self, judge: Judge) -> float:
        """The judge's, of the set."""
        return judge.worst(self.by(judge))

    def tail(self, judge: Judge) -> float:
        """What a tenth of the set is worse than, by the judge."""
        return judge.sign * float(np.percentile(np.multiply(judge.sign, self.by(judge)), 10))

    @property
    def p10(self) -> float:
        """10th percentile of SSIMULACRA2 over the set."""
        return self.tail(SSIMULACRA2)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Bytes of each file."""
        return tuple(map(len, self.files))

    @property
    def cpu_ms_per_mp(self) -> float:
        """Of the whole set."""
        return 1e3 * sum(self.cpu_s) / sum(master.megapixels for master in self.masters)

    @property
    def chosen(self) -> str:
        """How often each format, the most frequent first."""
        names = sorted(set(self.formats), key=lambda name: (-self.formats.count(name), name))
        return ", ".join(f"{name} {self.formats.count(name)}" for name in names)


def smaller_each(ours: Run, peer: Run) -> tuple[float, ...]:
    """Share of the peer's bytes that ours does without, of each picture; negative where larger."""
    return tuple(1 - one / other for one, other in zip(ours.sizes, peer.sizes, strict=True))


def smaller(ours: Run, peer: Run) -> float:
    """Of ``smaller_each``, through the geometric mean of the ratios of bytes."""
    return 1 - float(np.exp(np.log(np.divide(ours.sizes, peer.sizes)).mean()))


def peer_run(peer: Peer, masters: Sequence[Master], panel: Panel, quality: int) -> Run:
    """The peer at one quality."""
    batch = peer.encode(masters, quality)
    return Run(
        name=peer.name,
        setting=quality,
        masters=tuple(masters),
        files=batch.files,
        cpu_s=batch.cpu_s,
        formats=(peer.format,) * len(batch.files),
        probes=(1,) * len(batch.files),
        panel=panel,
    )


def pixfleet_run(
    name: str,
    masters: Sequence[Master],
    panel: Panel,
    request: Callable[[float], EncodeRequest],
    target: float,
) -> Run:
    """Pixfleet at one target; each picture is encoded on its own, with nothing learned before."""
    made: list[Encoded] = []
    cpu_s: list[float] = []
    for master in masters:
        start_s = time.process_time()
        result = encode_variant(master.pixels, request(target))[0]
        cpu_s.append(time.process_time() - start_s)
        if not isinstance(result, Encoded):
            raise result.error
        made.append(result)
    return Run(
        name=name,
        setting=target,
        masters=tuple(masters),
        files=tuple(one.data for one in made),
        cpu_s=tuple(cpu_s),
        formats=tuple(one.format for one in made),
        probes=tuple(one.probes for one in made),
        panel=panel,
    )
