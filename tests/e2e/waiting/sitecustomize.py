"""On a worker's PYTHONPATH: the AVIF encoder waits while a file ``hold`` lies in the state folder.

It touches a file ``encoded`` whenever it has encoded.
"""

import os
import pathlib
import time

from PIL import AvifImagePlugin, Image

_state = pathlib.Path(os.environ["PIXFLEET_STATE"])
_save = Image.SAVE[AvifImagePlugin.AvifImageFile.format]


def waiting(image, file, name):
    while (_state / "hold").exists():
        time.sleep(0.02)
    _save(image, file, name)
    (_state / "encoded").touch()


Image.register_save(AvifImagePlugin.AvifImageFile.format, waiting)
