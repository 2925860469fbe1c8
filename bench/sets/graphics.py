"""A set of graphics, drawn for the occasion: line art, screens with text, charts, icons with alpha.

    python bench/sets/graphics.py FOLDER

The screens are pages of sets/pages in Chromium and follow its version and the fonts of the machine;
without Chromium they are left out. All else is drawn here, four times as large and then reduced.
"""

from __future__ import annotations

import math
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable

PAGES: Final = Path(__file__).parent / "pages"
SCREEN: Final = (1000, 700)
FINE: Final = 4


def draw(folder: Path) -> None:
    """The whole set as PNG files in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in DRAWINGS.items():
        picture().save(folder / f"{name}.png")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("no chromium on the PATH: the graphics lack their screens", file=sys.stderr)
        return
    for page in sorted(PAGES.glob("*.html")):
        with tempfile.TemporaryDirectory() as profile:
            subprocess.run(
                [
                    chromium,
                    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                    f"--user-data-dir={profile}",
                    f"--window-size={SCREEN[0]},{SCREEN[1]}",
                    f"--screenshot={folder / page.stem}.png",
                    page.as_uri(),
                ],
                check=True,
                capture_output=True,
                timeout=60,
            )


def line_art() -> Image.Image:
    """Ink on paper: thin smooth curves with soft edges."""
    width, height = 800, 600
    image = Image.new("L", (width * FINE, height * FINE), 255)
    ink = ImageDraw.Draw(image)
    for wave in range(34):
        points = [
            (
                x * FINE,
                FINE
                * (
                    40 + wave * 16 + 22 * math.sin(x / 70 + wave / 3) * math.sin(x / 190 + wave / 9)
                ),
            )
            for x in range(0, width + 1, 4)
        ]
        ink.line(points, fill=0, width=FINE + wave % 4 * 2, joint="curve")
    for radius in range(20, 160, 11):
        middle = (560 * FINE, 300 * FINE)
        box = [side + sign * radius * FINE for sign in (-1, 1) for side in middle]
        ink.ellipse(box, outline=0, width=FINE + 2)
    return image.resize((width, height), Image.Resampling.BOX).convert("RGB")


def hatching() -> Image.Image:
    """Two colours and no soft edge, as a scanned woodcut."""
    image = Image.new("1", (640, 480), 1)
    ink = ImageDraw.Draw(image)
    for x in range(-480, 640, 6):
        ink.line([(x, 0), (x + 480, 480)], fill=0)
    for x in range(0, 640, 80):
        ink.ellipse([x + 8, 120, x + 72, 320], fill=1, outline=0)
        for y in range(124, 318, 4):
            half = 32 * math.sqrt(max(0.0, 1 - ((y - 220) / 100) ** 2))
            ink.line([(x + 40, y), (x + 40 + half, y)], fill=0)
    return image.convert("RGB")


def pixel_art() -> Image.Image:
    """Sixteen colours in squares of 12 px."""
    dice = random.Random(5)
    palette = [tuple(dice.randrange(256) for _ in range(3)) for _ in range(16)]
    small = Image.new("RGB", (48, 48))
    for y in range(48):
        for x in range(24):
            at = int(8 + 5 * math.sin(x / 3) + 5 * math.cos(y / 4) + dice.random() * 2) % 16
            for mirrored in (x, 47 - x):
                small.putpixel((mirrored, y), palette[at])
    return small.resize((576, 576), Image.Resampling.NEAREST)


def flat_shapes() -> Image.Image:
    """A poster of large flat areas with curved edges."""
    width, height = 900, 600
    image = Image.new("RGB", (width * FINE, height * FINE), "#ffe8d6")
    pen = ImageDraw.Draw(image)
    hills = ("#cb997e", "#b98b73", "#6b705c", "#3f4238")
    pen.ellipse([620 * FINE, 70 * FINE, 800 * FINE, 250 * FINE], fill="#e76f51")
    for at, colour in enumerate(hills):
        outline = [
            (
                x * FINE,
                FINE * (270 + at * 80 + (60 - at * 8) * math.sin(x / (150 - at * 20) + at * 2)),
            )
            for x in range(0, width + 1, 5)
        ]
        pen.polygon([*outline, (width * FINE, height * FINE), (0, height * FINE)], fill=colour)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def gradient() -> Image.Image:
    """Smooth colours without grain, where bands show first."""
    y, x = np.mgrid[0:480, 0:720] / np.array([480, 720]).reshape(2, 1, 1)
    red = 0.5 + 0.5 * np.sin(2.2 * x + 1.1 * y)
    green = 0.35 + 0.3 * np.cos(3.1 * y - x)
    blue = 0.55 + 0.4 * np.sin(1.7 * (x + y) + 2)
    return Image.fromarray(np.rint(np.dstack([red, green, blue]) * 255).astype(np.uint8))


def icon_soft() -> Image.Image:
    """An app's icon on nothing: rounded, shaded, with a soft shadow in alpha."""
    side = 512
    shape = Image.new("L", (side * FINE, side * FINE), 0)
    ImageDraw.Draw(shape).rounded_rectangle(
        [70 * FINE, 60 * FINE, 442 * FINE, 432 * FINE], radius=84 * FINE, fill=255
    )
    mask = shape.resize((side, side), Image.Resampling.BOX)
    shadow = Image.new("L", (side, side), 0)
    shadow.paste(mask, (0, 22))
    shadow = shadow.filter(ImageFilter.GaussianBlur(18)).point(lambda value: value * 0.45)
    image = Image.new("RGBA", (side, side), (10, 20, 40, 0))
    image.putalpha(shadow)
    slope = np.linspace(0, 1, side)[:, None, None]
    colour = (1 - slope) * np.array([86, 204, 242]) + slope * np.array([47, 83, 205])
    face = Image.fromarray(np.broadcast_to(np.rint(colour), (side, side, 3)).astype(np.uint8))
    image.paste(face, (0, 0), mask)
    sail = Image.new("L", (side * FINE, side * FINE), 0)
    pen = ImageDraw.Draw(sail)
    for points in ([(250, 120), (250, 330), (130, 330)], [(272, 160), (272, 330), (375, 330)]):
        pen.polygon([(x * FINE, y * FINE) for x, y in points], fill=255)
    pen.pieslice([120 * FINE, 250 * FINE, 392 * FINE, 430 * FINE], 20, 160, fill=235)
    image.paste((255, 255, 255), (0, 0), sail.resize((side, side), Image.Resampling.BOX))
    return image


def badge_hard() -> Image.Image:
    """A badge on nothing: flat colours, edges of one pixel in alpha."""
    side = 400
    image = Image.new("RGBA", (side * FINE, side * FINE), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    middle = side * FINE / 2
    star = [
        (
            middle + math.sin(at * math.pi / 12) * middle * (0.96 if at % 2 else 0.82),
            middle - math.cos(at * math.pi / 12) * middle * (0.96 if at % 2 else 0.82),
        )
        for at in range(24)
    ]
    pen.polygon(star, fill=(214, 40, 57, 255))
    for share, colour in ((0.72, (255, 255, 255, 255)), (0.66, (29, 53, 87, 255))):
        box = [middle * (1 - share)] * 2 + [middle * (1 + share)] * 2
        pen.ellipse(box, fill=colour)
    pen.line(
        [(x * FINE, y * FINE) for x, y in ((125, 205), (180, 262), (282, 145))],
        fill=(168, 218, 220, 255),
        width=34 * FINE,
        joint="curve",
    )
    return image.resize((side, side), Image.Resampling.BOX)


DRAWINGS: Final[dict[str, Callable[[], Image.Image]]] = {
    "badge_hard": badge_hard,
    "flat_shapes": flat_shapes,
    "gradient": gradient,
    "hatching": hatching,
    "icon_soft": icon_soft,
    "line_art": line_art,
    "pixel_art": pixel_art,
}


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
