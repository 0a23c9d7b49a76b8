"""Edits that put something over the picture: words, signs, stripes, bars, scribbles, and things on faces."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ectype.transformations.chance import colour, either, seed, uniform, whole
from ectype.transformations.geometry import Size
from ectype.transformations.kinds import Family, Pixels, size_of
from ectype.transformations.materials import FACES, emoji, font, words

OVERLAYS = Family("overlays")


def _sample_text(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "lines": whole(rng, 1, 5),
        "face": whole(rng, 0, FACES - 1),
        "height": uniform(rng, 0.05, 0.2),
        "x": uniform(rng, 0, 0.6),
        "y": uniform(rng, 0, 0.8),
        "colour": colour(rng),
        "opacity": uniform(rng, 0.5, 1),
        "outline": either(rng, 0.4),
        "degrees": uniform(rng, -30, 30) if either(rng, 0.3) else 0.0,
    }


@OVERLAYS.kind(_sample_text)
def overlay_text(
    pixels: Pixels,
    seed: int,
    lines: int,
    face: int,
    height: float,
    x: float,
    y: float,
    colour: list[int],
    opacity: float,
    outline: bool,
    degrees: float,
) -> Pixels:
    """Words in one of several scripts and typefaces, upright or slanted, in one to five lines."""
    image = Image.fromarray(pixels)
    text = "\n".join(words(seed + line, 1 + (seed + line) % 4) for line in range(lines))
    layer = Image.new("RGBA", image.size, (*colour, 0))
    draw = ImageDraw.Draw(layer)
    size = round(height * min(image.size))
    edge = max(1, size // 12) if outline else 0
    against = (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)
    place = x * image.width, y * image.height
    alpha = round(255 * opacity)
    draw.multiline_text(
        place, text, (*colour, alpha), font(face, size), stroke_width=edge, stroke_fill=(*against, alpha)
    )
    if degrees:
        layer = layer.rotate(degrees, Image.Resampling.BILINEAR, center=place)
    image.paste(layer, (0, 0), layer)
    return np.array(image)


def _sample_emoji(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "sign": whole(rng, 0, 199),
        "size": uniform(rng, 0.15, 0.6),
        "x": uniform(rng, -0.05, 0.8),
        "y": uniform(rng, -0.05, 0.8),
        "opacity": uniform(rng, 0.6, 1),
        "count": whole(rng, 1, 4) if either(rng, 0.3) else 1,
        "seed": seed(rng),
    }


@OVERLAYS.kind(_sample_emoji)
def overlay_emoji(
    pixels: Pixels, sign: int, size: float, x: float, y: float, opacity: float, count: int, seed: int
) -> Pixels:
    """Faces, hearts, stars and other drawn signs."""
    image = Image.fromarray(pixels)
    rng = np.random.default_rng(seed)
    for number in range(count):
        side = max(8, round(size * min(image.size) / (1 if count == 1 else 1.6)))
        stamp = emoji(sign + number, side)
        faded = stamp.getchannel("A").point(lambda alpha: round(alpha * opacity))
        at = (x, y) if number == 0 else rng.uniform(-0.05, 0.85, 2)
        image.paste(stamp, (round(at[0] * image.width), round(at[1] * image.height)), faded)
    return np.array(image)


def _sample_stripes(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "width": uniform(rng, 0.1, 0.7),
        "period": uniform(rng, 0.04, 0.4),
        "degrees": uniform(rng, 0, 180),
        "colour": colour(rng),
        "opacity": uniform(rng, 0.3, 0.95),
    }


@OVERLAYS.kind(_sample_stripes)
def overlay_stripes(
    pixels: Pixels, width: float, period: float, degrees: float, colour: list[int], opacity: float
) -> Pixels:
    """Stripes across everything; width as a share of the period, the period of the longer side."""
    height, length = pixels.shape[:2]
    angle = np.deg2rad(degrees)
    x = np.arange(length, dtype=np.float32) * np.float32(np.cos(angle))
    y = np.arange(height, dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    phase = ((x + y) / np.float32(max(2.0, period * max(height, length)))) % 1
    return _covered(pixels, (phase < width).astype(np.float32) * np.float32(opacity), colour)


def _covered(pixels: Pixels, share: np.ndarray[Any, np.dtype[np.float32]], colour: list[int]) -> Pixels:
    """A colour over the picture, in a share (h, w) for each pixel."""
    weight = share[..., None]
    return (pixels * (1 - weight) + np.array(colour, np.float32) * weight + 0.5).astype(np.uint8)


def _sample_mask(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "blobs": whole(rng, 1, 4),
        "radius": uniform(rng, 0.03, 0.12),
        "pixelate": either(rng, 0.3),
    }


@OVERLAYS.kind(_sample_mask)
def overlay_blurred_mask(pixels: Pixels, seed: int, blobs: int, radius: float, pixelate: bool) -> Pixels:
    """Parts made unrecognisable, with a soft edge: blurred or in blocks."""
    import cv2

    width, height = size_of(pixels)
    rng = np.random.default_rng(seed)
    shortest = min(width, height)
    mask = np.zeros((height, width), np.float32)
    for _ in range(blobs):
        centre = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        axes = tuple(int(value) for value in rng.uniform(0.12, 0.4, 2) * shortest)
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, 0.02 * shortest))[..., None]
    if pixelate:
        cells = max(2, round(1 / radius / 2)), max(2, round(1 / radius / 2))
        hidden = cv2.resize(cv2.resize(pixels, cells, interpolation=cv2.INTER_AREA), (width, height), interpolation=0)
    else:
        hidden = cv2.GaussianBlur(pixels, (0, 0), max(1.0, radius * shortest))
    return np.asarray(pixels * (1 - soft) + hidden * soft + 0.5).astype(np.uint8)


def _sample_scribble(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {"seed": seed(rng), "strokes": whole(rng, 1, 6), "width": uniform(rng, 0.008, 0.05)}


@OVERLAYS.kind(_sample_scribble)
def scribble(pixels: Pixels, seed: int, strokes: int, width: float) -> Pixels:
    """Freehand strokes, rings and arrows."""
    import cv2

    length, height = size_of(pixels)
    rng = np.random.default_rng(seed)
    result = pixels.copy()
    thick = max(1, round(width * min(length, height)))
    for _ in range(strokes):
        paint = tuple(int(value) for value in rng.integers(0, 256, 3))
        kind = rng.integers(3)
        if kind == 0:
            steps = rng.normal(0, 0.08, (24, 2)).cumsum(axis=0) + rng.uniform(0.1, 0.9, 2)
            points = (steps * (length, height)).astype(np.int32)
            cv2.polylines(result, [points], False, paint, thick, cv2.LINE_AA)
        elif kind == 1:
            centre = tuple(int(value) for value in rng.uniform(0.15, 0.85, 2) * (length, height))
            axes = tuple(int(value) for value in rng.uniform(0.08, 0.35, 2) * (length, height))
            cv2.ellipse(result, centre, axes, float(rng.uniform(0, 180)), 0, 360, paint, thick, cv2.LINE_AA)
        else:
            start, end = ((rng.uniform(0, 1, 2) * (length, height)).astype(int).tolist() for _ in range(2))
            cv2.arrowedLine(result, start, end, paint, thick, cv2.LINE_AA, tipLength=0.2)
    return result


def _sample_bars(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {"seed": seed(rng), "count": whole(rng, 1, 8), "largest": uniform(rng, 0.15, 0.5)}


@OVERLAYS.kind(_sample_bars)
def occlude(pixels: Pixels, seed: int, count: int, largest: float) -> Pixels:
    """Rectangles of one colour over parts of the picture."""
    width, height = size_of(pixels)
    rng = np.random.default_rng(seed)
    result = pixels.copy()
    for _ in range(count):
        across, along = rng.uniform(0.05, largest, 2)
        left, top = int(rng.uniform(-0.1, 1) * width), int(rng.uniform(-0.1, 1) * height)
        box = slice(max(0, top), top + int(along * height) + 1), slice(max(0, left), left + int(across * width) + 1)
        result[box] = rng.integers(0, 256, 3)
    return result


def _sample_watermark(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "height": uniform(rng, 0.05, 0.14),
        "opacity": uniform(rng, 0.15, 0.55),
        "bright": either(rng, 0.7),
        "degrees": uniform(rng, -50, 50),
    }


@OVERLAYS.kind(_sample_watermark)
def watermark(pixels: Pixels, seed: int, height: float, opacity: float, bright: bool, degrees: float) -> Pixels:
    """The same words all over, faintly, at a slant."""
    image = Image.fromarray(pixels)
    side = max(image.size) * 3 // 2
    size = max(8, round(height * min(image.size)))
    layer = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(layer)
    text = f"{words(seed, 2)}    " * (side // (4 * size) + 1)
    for number, top in enumerate(range(0, side, 3 * size)):
        draw.text((-number % 3 * size, top), text, round(255 * opacity), font(seed, size))
    layer = layer.rotate(degrees, Image.Resampling.BILINEAR)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    mask = layer.crop((left, top, left + image.width, top + image.height))
    image.paste((255, 255, 255) if bright else (0, 0, 0), (0, 0), mask)
    return np.array(image)


def _sample_ar(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "x": uniform(rng, 0.25, 0.75),
        "y": uniform(rng, 0.25, 0.7),
        "size": uniform(rng, 0.3, 0.8),
    }


@OVERLAYS.kind(_sample_ar)
def ar_effect(pixels: Pixels, seed: int, x: float, y: float, size: float) -> Pixels:
    """What camera apps put on a face: ears and a nose, glasses, a crown, sparkles, a coloured frame."""
    image = Image.fromarray(pixels).convert("RGBA")
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    rng = np.random.default_rng(seed)
    reach = size * min(image.size)
    centre = np.array([x * image.width, y * image.height])
    paint = tuple(int(value) for value in rng.integers(40, 256, 3))

    def spot(across: float, along: float, width: float, height: float) -> tuple[float, float, float, float]:
        middle = centre + np.array([across, along]) * reach
        half = np.array([width, height]) * reach / 2
        return (*(middle - half), *(middle + half))

    effect = rng.integers(4)
    if effect == 0:
        for side in (-1, 1):
            draw.ellipse(spot(side * 0.38, -0.42, 0.26, 0.42), fill=paint)
            draw.ellipse(spot(side * 0.38, -0.4, 0.14, 0.28), fill=(255, 190, 190))
        draw.ellipse(spot(0, 0.08, 0.18, 0.13), fill=(30, 20, 20))
        draw.chord(spot(0, 0.33, 0.16, 0.4), 0, 180, fill=(240, 90, 110))
    elif effect == 1:
        for side in (-1, 1):
            draw.ellipse(spot(side * 0.22, -0.08, 0.36, 0.3), fill=(*paint, 190), outline=(0, 0, 0), width=4)
        draw.line(spot(0, -0.08, 0.1, 0.0), fill=(0, 0, 0), width=5)
    elif effect == 2:
        peaks = [(-0.4, -0.35), (-0.4, -0.7), (-0.2, -0.5), (0, -0.75), (0.2, -0.5), (0.4, -0.7), (0.4, -0.35)]
        draw.polygon([tuple(centre + np.array(peak) * reach) for peak in peaks], fill=(245, 200, 40))
        for across in (-0.4, 0, 0.4):
            draw.ellipse(spot(across, -0.73, 0.08, 0.08), fill=paint)
    image = Image.alpha_composite(image, layer)
    if effect == 3:
        for _ in range(24):
            stamp = emoji(int(rng.integers(200)), max(8, int(reach * rng.uniform(0.06, 0.2))))
            at = rng.uniform(-0.05, 1, 2) * image.size
            image.alpha_composite(stamp, tuple(int(max(0, value)) for value in at))
    return np.array(image.convert("RGB"))
