"""What edits are made with: pictures to paste on, fonts, words of several scripts, drawn faces and signs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

WORDS = (
    "breaking news tonight love you best deal ever follow for more subscribe free shipping now wow can't believe this "
    "happened when the weekend comes nobody asked but here we are wait until end real or fake share if agree 100% off "
    "Привет мир новости сегодня лучший день смотри это правда Καλημέρα κόσμε νέα σήμερα "
    "مرحبا بالعالم اليوم خبر שלום עולם היום Բարեւ աշխարհ გამარჯობა მსოფლიო Đây là tin mới ñandú señor über straße "
    "123 2021 #1 $9.99 @someone www http :-) <3 !!! ??? ♥ ★ ☺ ☀ ✓ ✗ ♫ ☎ ✈"
).split()
"""Latin, Cyrillic, Greek, Arabic, Hebrew, Armenian, Georgian and signs: all within what the fonts can show."""

_FACES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Bold")


@dataclass(frozen=True)
class Materials:
    """What edits are made with.

    Attributes
    ----------
    photographs : sequence of callables that return RGB pixels (h, w, 3)
        To paste onto and to paste in; drawn pictures are used where there are none.
    """

    photographs: Sequence[Callable[[], NDArray[np.uint8]]] = ()

    def picture(self, number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """A picture of a given width and height, the same for the same number."""
        import cv2

        if not self.photographs:
            return drawn_picture(number, size)
        pixels = self.photographs[number % len(self.photographs)]()
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def drawn_picture(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A drawn scene: a gradient with shapes, texture and lines."""
    import cv2

    rng = np.random.default_rng(number)
    width, height = size
    corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    picture = np.ascontiguousarray(cv2.resize(corners, size, interpolation=cv2.INTER_LINEAR))
    for _ in range(int(rng.integers(4, 14))):
        paint = tuple(int(value) for value in rng.integers(0, 256, 3))
        at = int(rng.integers(width)), int(rng.integers(height))
        reach = max(2, int(rng.uniform(0.05, 0.3) * min(size)))
        shape = rng.integers(4)
        if shape == 0:
            cv2.circle(picture, at, reach, paint, -1, cv2.LINE_AA)
        elif shape == 1:
            cv2.rectangle(picture, at, (at[0] + 2 * reach, at[1] + reach), paint, -1)
        elif shape == 2:
            points = rng.integers((0, 0), size, (3, 2))
            cv2.fillPoly(picture, [points.astype(np.int32)], paint, cv2.LINE_AA)
        else:
            end = int(rng.integers(width)), int(rng.integers(height))
            cv2.line(picture, at, end, paint, max(1, reach // 6), cv2.LINE_AA)
    grain = rng.normal(0, rng.uniform(2, 14), (max(1, height // 2), max(1, width // 2), 1)).astype(np.float32)
    coarse = cv2.resize(grain, size)[..., None]
    return np.asarray(np.clip(picture + coarse, 0, 255), np.uint8)


@lru_cache(maxsize=64)
def font(face: int, pixels: int) -> ImageFont.FreeTypeFont:
    """One of the typefaces that matplotlib ships, at a height in pixels."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"{_FACES[face % len(_FACES)]}.ttf"), max(6, pixels))


FACES = len(_FACES)


def words(number: int, count: int) -> str:
    """Some words that follow from a number."""
    rng = np.random.default_rng(number)
    return " ".join(WORDS[int(index)] for index in rng.integers(0, len(WORDS), count))


@lru_cache(maxsize=256)
def emoji(number: int, side: int) -> Image.Image:
    """A drawn sign on a transparent ground, side x side: a face, a heart, a star, a bubble, a bolt, a ring."""
    rng = np.random.default_rng(number)
    scale = 2
    big = side * scale
    image = Image.new("RGBA", (big, big), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    paint = tuple(int(value) for value in rng.integers(0, 256, 3))
    sign = rng.integers(7)
    if sign <= 2:
        _draw_face(draw, big, rng)
    elif sign == 3:
        lobe = (0.08 * big, 0.12 * big, 0.54 * big, 0.58 * big), (0.46 * big, 0.12 * big, 0.92 * big, 0.58 * big)
        for box in lobe:
            draw.ellipse(box, fill=(220, 30, 60))
        draw.polygon([(0.11 * big, 0.46 * big), (0.89 * big, 0.46 * big), (0.5 * big, 0.95 * big)], fill=(220, 30, 60))
    elif sign == 4:
        points = int(rng.integers(4, 9))
        angles = [math.pi * index / points - math.pi / 2 for index in range(2 * points)]
        reach = [0.48 if index % 2 == 0 else 0.22 for index in range(2 * points)]
        draw.polygon(
            [
                (big * (0.5 + r * math.cos(a)), big * (0.5 + r * math.sin(a)))
                for r, a in zip(reach, angles, strict=True)
            ],
            fill=paint,
        )
    elif sign == 5:
        draw.rounded_rectangle((0.04 * big, 0.1 * big, 0.96 * big, 0.7 * big), 0.2 * big, fill=paint)
        draw.polygon([(0.25 * big, 0.65 * big), (0.5 * big, 0.65 * big), (0.2 * big, 0.95 * big)], fill=paint)
    else:
        draw.ellipse((0.06 * big, 0.06 * big, 0.94 * big, 0.94 * big), outline=paint, width=max(2, big // 8))
        draw.line((0.2 * big, 0.2 * big, 0.8 * big, 0.8 * big), fill=paint, width=max(2, big // 8))
    return image.resize((side, side), Image.Resampling.BOX)


def _draw_face(draw: ImageDraw.ImageDraw, big: int, rng: np.random.Generator) -> None:
    skin = [(255, 204, 50), (255, 140, 60), (140, 200, 80), (240, 90, 80), (120, 170, 240)][int(rng.integers(5))]
    draw.ellipse((0.02 * big, 0.02 * big, 0.98 * big, 0.98 * big), fill=skin)
    dark = (70, 45, 10)
    eye = rng.uniform(0.05, 0.11) * big
    for x in (0.33, 0.67):
        draw.ellipse((x * big - eye, 0.38 * big - 1.3 * eye, x * big + eye, 0.38 * big + 1.3 * eye), fill=dark)
    mouth = rng.integers(4)
    if mouth == 0:
        draw.arc((0.25 * big, 0.35 * big, 0.75 * big, 0.8 * big), 20, 160, fill=dark, width=max(2, big // 20))
    elif mouth == 1:
        draw.arc((0.28 * big, 0.62 * big, 0.72 * big, 0.95 * big), 200, 340, fill=dark, width=max(2, big // 20))
    elif mouth == 2:
        draw.ellipse((0.42 * big, 0.6 * big, 0.58 * big, 0.84 * big), fill=dark)
    else:
        draw.chord((0.25 * big, 0.4 * big, 0.75 * big, 0.85 * big), 10, 170, fill=(255, 255, 255), outline=dark)
    if rng.random() < 0.3:  # glasses
        for x in (0.32, 0.68):
            box = (x * big - 0.15 * big, 0.28 * big, x * big + 0.15 * big, 0.5 * big)
            draw.rectangle(box, fill=(20, 20, 20))
        draw.line((0.4 * big, 0.36 * big, 0.6 * big, 0.36 * big), fill=(20, 20, 20), width=max(2, big // 20))
