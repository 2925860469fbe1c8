"""What comes before the cuts, each step metered, on record, under a time limit, and in memory."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from .imaging.decoder_memory import enough_memory

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    from .fleet.trials import Trials
    from .imaging.header import Header
    from .spend.meter import Meter


class Steps:
    """The steps of one run of a job; each raises ``DecoderLostError`` where it cannot be had.

    A step that never returns ends with the process, and the job's next run says so
    (``fleet.trials``).
    """

    def __init__(self, trials: Trials, meter: Meter, source: str) -> None:
        self._trials = trials
        self._meter = meter
        self._source = source
        self._what = source
        self._format = ""
        self._px = 0

    def found(self, header: Header) -> None:
        """From here on limits and messages know what the image is."""
        self._format = header.format
        self._px = header.width * header.height * header.frames
        size = f"{header.width:,} x {header.height:,} px"
        frames = f", {header.frames} frames" if header.frames > 1 else ""
        self._what = f"{self._source} ({header.format.upper()}, {size}{frames})"

    def inspect(self, image_format: str) -> AbstractContextManager[None]:
        """The header is read, by the decoder's library for some formats."""
        self._what = f"{self._source} ({image_format.upper()})"
        return self._step("inspect", "decode")

    def decode(self) -> AbstractContextManager[None]:
        """Pixels are decoded."""
        return self._step("decode", "decode")

    def features(self) -> AbstractContextManager[None]:
        """Pixels are looked at."""
        return self._step("features", "features")

    def resize(self) -> AbstractContextManager[None]:
        """Pixels are resized."""
        return self._step("resize", "resize")

    @contextmanager
    def _step(self, stage: str, name: str) -> Generator[None]:
        with ExitStack() as stack:
            passage = stack.enter_context(self._meter.stage(stage))
            passage.pixels, passage.format = self._px, self._format
            stack.enter_context(self._trials.step(name, self._what, self._px))
            stack.enter_context(enough_memory(name, self._what))
            yield
