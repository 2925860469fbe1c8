"""On a worker's PYTHONPATH: Pillow breaks on pictures of telling widths.

Its AVIF encoder and its TIFF decoder.
"""

import ctypes
import os
import signal

from PIL import AvifImagePlugin, Image, TiffImagePlugin

HANGS_PX, DIES_PX, RUNS_OUT_PX, RAISES_PX = 97, 98, 99, 101
MOST_EATEN = 40
"""Pieces of 50 MB: where nothing stops it, the decoder goes on as if nothing had been."""

_save = Image.SAVE[AvifImagePlugin.AvifImageFile.format]


def hang():
    """As C code that never returns: it keeps the interpreter's lock and hears no signal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    ctypes.PyDLL(None).sleep(3600)


def breaking(image, file, name):
    if image.width == HANGS_PX:
        hang()
    if image.width == DIES_PX:
        os.kill(os.getpid(), signal.SIGSEGV)
    if image.width == RUNS_OUT_PX:
        raise MemoryError
    if image.width == RAISES_PX:
        raise TypeError("nobody foresaw this")
    _save(image, file, name)


class BreakingTiff(TiffImagePlugin.TiffImageFile):
    def load(self):
        if self.width == HANGS_PX:
            hang()
        if self.width == DIES_PX:
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.width == RUNS_OUT_PX:
            eaten = []
            while len(eaten) < MOST_EATEN:
                eaten.append(b"\1" * 50_000_000)
        return super().load()


TiffImagePlugin.TiffImageFile = BreakingTiff
Image.register_open("TIFF", BreakingTiff, Image.OPEN["TIFF"][1])
Image.register_save(AvifImagePlugin.AvifImageFile.format, breaking)
