"""On a worker's PYTHONPATH: the AVIF encoder waits while a file ``hold`` lies in the state folder."""

import os
import pathlib
import time

from PIL import AvifImagePlugin, Image

_hold = pathlib.Path(os.environ["PIXFLEET_STATE"], "hold")
_save = Image.SAVE[AvifImagePlugin.AvifImageFile.format]


def waiting(image, file, name):
    while _hold.exists():
        time.sleep(0.02)
    _save(image, file, name)


Image.register_save(AvifImagePlugin.AvifImageFile.format, waiting)
