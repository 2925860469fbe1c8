"""Pillow at fixed options, as most Python programs call it."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image

from .peer import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sets.masters import Master


@dataclass(frozen=True, slots=True)
class PillowJpeg:
    """JPEG; thumbor's defaults are its quality 80, optimised and progressive."""

    name: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    quality: int = 80
    format: str = "jpeg"

    def encode(self, masters: Sequence[Master], quality: int) -> Batch:
        """As in ``peer.Peer``."""
        files: list[bytes] = []
        cpu_s: list[float] = []
        for master in masters:
            image = Image.fromarray(master.flat)
            buffer = io.BytesIO()
            start_s = time.process_time()
            image.save(buffer, "JPEG", quality=quality, **self.options)
            cpu_s.append(time.process_time() - start_s)
            files.append(buffer.getvalue())
        return Batch(tuple(files), tuple(cpu_s))
