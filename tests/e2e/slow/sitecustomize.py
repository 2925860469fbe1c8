"""On a worker's PYTHONPATH: decoding a TIFF takes a tenth of a second for each px of its height.

And encoding an AVIF of a telling width takes as long as anybody lets it.
"""

import time

from PIL import AvifImagePlugin, Image, TiffImagePlugin

S_PER_PX = 0.1
SLOW_AVIF_PX = 97
_save = Image.SAVE[AvifImagePlugin.AvifImageFile.format]


class SlowTiff(TiffImagePlugin.TiffImageFile):
    slept = False

    def load(self):
        if not self.slept:
            self.slept = True
            time.sleep(S_PER_PX * self.height)
        return super().load()


TiffImagePlugin.TiffImageFile = SlowTiff
Image.register_open("TIFF", SlowTiff, Image.OPEN["TIFF"][1])


def save_slowly(image, file, name):
    if image.width == SLOW_AVIF_PX:
        time.sleep(2)
    _save(image, file, name)


Image.register_save(AvifImagePlugin.AvifImageFile.format, save_slowly)
