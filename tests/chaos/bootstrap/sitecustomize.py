"""On the PYTHONPATH of a worker under test: pictures with a will of their own, lost protections.

A TIFF of 16 px height is decoded for as many milliseconds as it is wide, without CPU; one of 17 px
height as long as the file exists that PIXFLEET_TEST_GATE names; one of 18 px kills its process.
"""

import os
import signal
import time
from pathlib import Path

from PIL import Image, TiffImagePlugin
from telling_px import DEADLY_PX, GATED_PX, SLOW_PX


class PatientTiff(TiffImagePlugin.TiffImageFile):
    _slept = False

    def load(self):
        if self.height == SLOW_PX and not self._slept:
            self._slept = True  # Pillow loads again and again what is loaded
            time.sleep(self.width / 1000)
        gate = os.environ.get("PIXFLEET_TEST_GATE")
        while self.height == GATED_PX and gate and Path(gate).exists():
            time.sleep(0.02)
        if self.height == DEADLY_PX:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().load()


TiffImagePlugin.TiffImageFile = PatientTiff
Image.register_open("TIFF", PatientTiff, Image.OPEN["TIFF"][1])

if lost := os.environ.get("PIXFLEET_TEST_WITHOUT"):
    from removals import REMOVALS

    for name in lost.split(","):
        REMOVALS[name]()
