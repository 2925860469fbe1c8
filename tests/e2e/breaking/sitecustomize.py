"""On a worker's PYTHONPATH: Pillow breaks on pictures of telling widths.

Its AVIF encoder on most of them, its TIFF decoder on one.
"""

import ctypes
import os
import signal

from PIL import AvifImagePlugin, Image, TiffImagePlugin

HANGS_PX, DIES_PX, RUNS_OUT_PX, RAISES_PX = 97, 98, 99, 101

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


class HangingTiff(TiffImagePlugin.TiffImageFile):
    def load(self):
        if self.width == HANGS_PX:
            hang()
        return super().load()


TiffImagePlugin.TiffImageFile = HangingTiff
Image.register_open("TIFF", HangingTiff, Image.OPEN["TIFF"][1])
Image.register_save(AvifImagePlugin.AvifImageFile.format, breaking)
