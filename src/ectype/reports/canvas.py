"""Drawing on arrays of pixels: pictures placed on a sheet, polygons, lines and words with smooth edges.

Coordinates are continuous pixels: a picture of width w and height h spans [0, w] x [0, h].
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ectype.evidence import Points

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

INK: Colour = (28, 30, 34)
FAINT: Colour = (104, 110, 118)

_FRACTION_BITS = 4  # OpenCV draws at sixteenths of a pixel
_FINER = 4  # times the size at which Pillow draws what shall have smooth edges
_CORNER = 6  # pixels of radius
_CASING = 2  # pixels of dark around a bright line, so that it shows on every picture


def fitted(pixels: Pixels, height: int, width: int) -> Pixels:
    """Scale a picture, keeping its proportions, to the largest size within `height` and `width`."""
    import cv2

    scale = min(height / pixels.shape[0], width / pixels.shape[1])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def warped(pixels: Pixels, matrix: NDArray[np.float64], size: tuple[int, int]) -> tuple[Pixels, NDArray[np.bool_]]:
    """Map a picture through `matrix`, shape (3, 3), onto an empty one of `size`; also, where it came to lie."""
    import cv2

    shrinking = float(np.clip(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))), 1 / max(pixels.shape), 1))
    if shrinking < 1:  # beforehand, by averages: mapping takes single pixels
        small = fitted(pixels, *(max(1, round(side * shrinking)) for side in pixels.shape[:2]))
        matrix = matrix @ np.diag([pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0], 1.0])
        pixels = small
    centre = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    matrix = np.linalg.inv(centre) @ matrix @ centre  # OpenCV counts from the centre of the first pixel
    laid = cv2.warpPerspective(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    covered = cv2.warpPerspective(np.ones(pixels.shape[:2], np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    return np.asarray(laid, np.uint8), np.asarray(covered, np.bool_)


def dim_outside(pixels: Pixels, region: Points, strength: float) -> None:
    """Darken, in place, what is outside a polygon; `strength` from 0 to 1."""
    import cv2

    inside = np.zeros(pixels.shape[:2], np.uint8)
    cv2.fillPoly(inside, [_fixed_point(region)], 255, cv2.LINE_AA, _FRACTION_BITS)
    kept = 1 - strength * (1 - inside[..., None] / 255)
    pixels[:] = np.round(pixels * kept)


def outline(pixels: Pixels, region: Points, colour: Colour, thickness: int = 2) -> None:
    """Draw a polygon's border, in place."""
    import cv2

    corners = [_fixed_point(region)]
    for drawn, width in ((INK, thickness + _CASING), (colour, thickness)):
        cv2.polylines(pixels, corners, True, drawn, width, cv2.LINE_AA, _FRACTION_BITS)


def join(pixels: Pixels, starts: Points, ends: Points, colours: Sequence[Colour], opacity: float = 0.8) -> None:
    """Draw thin lines with dots at their ends, in place."""
    import cv2

    drawn = pixels.copy()
    for start, end, colour in zip(_fixed_point(starts), _fixed_point(ends), colours, strict=True):
        cv2.line(drawn, start.tolist(), end.tolist(), colour, 1, cv2.LINE_AA, _FRACTION_BITS)
    pixels[:] = cv2.addWeighted(drawn, opacity, pixels, 1 - opacity, 0)
    for start, end, colour in zip(_fixed_point(starts), _fixed_point(ends), colours, strict=True):
        for point in (start.tolist(), end.tolist()):
            for radius, fill in ((4, INK), (3, colour)):
                cv2.circle(pixels, point, radius << _FRACTION_BITS, fill, -1, cv2.LINE_AA, _FRACTION_BITS)


def write(image: Image.Image, at: tuple[float, float], text: str, size: int, colour: Colour = INK) -> None:
    """Write one line, in place; `at` is its upper left corner."""
    ImageDraw.Draw(image).text(at, text, colour, font(size))


def pill(image: Image.Image, box: tuple[int, int, int, int], colour: Colour) -> None:
    """Fill a rectangle (left, top, right, bottom) with rounded corners, in place."""
    size = (box[2] - box[0], box[3] - box[1])
    mask = Image.new("L", (size[0] * _FINER, size[1] * _FINER))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), _CORNER * _FINER, 255)
    image.paste(colour, box, mask.resize(size, Image.Resampling.BOX))


def disc(image: Image.Image, centre: tuple[float, float], radius: int, colour: Colour) -> None:
    """Fill a circle, in place."""
    left, top = (round(value) - radius for value in centre)
    pill(image, (left, top, left + 2 * radius, top + 2 * radius), colour)


def wrapped(text: str, size: int, width: float) -> list[str]:
    """Break a text into lines that are at most `width` pixels wide."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that Pillow carries."""
    return ImageFont.load_default(size)


def _fixed_point(points: Points) -> NDArray[np.int32]:
    """Continuous coordinates as OpenCV wants them: from the centre of the first pixel, in sixteenths."""
    return np.asarray(np.round((points - 0.5) * 2**_FRACTION_BITS), np.int32)
