"""Edits that make the picture a part of another: pasted on, pasted in, framed, captioned, shown in an app."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ectype.transformations.chance import colour, either, one_of, seed, uniform, whole
from ectype.transformations.geometry import Geometry, Homography, Size, scaling, shift
from ectype.transformations.kinds import Family, Pixels, Transformed, size_of
from ectype.transformations.materials import FACES, Materials, emoji, font, words
from ectype.transformations.spatial import shrunk_onto

COMPOSITIONS = Family("compositions")


def _sample_onto(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    width = uniform(rng, 0.3, 0.85)
    return {
        "ground": seed(rng),
        "ratio": uniform(rng, 0.7, 1.5),
        "width": width,
        "left": uniform(rng, 0, 1 - width),
        "top": uniform(rng, 0, 0.45),
        "opacity": uniform(rng, 0.75, 1),
    }


@COMPOSITIONS.kind(_sample_onto)
def overlay_onto_image(
    pixels: Pixels,
    ground: int,
    ratio: float,
    width: float,
    left: float,
    top: float,
    opacity: float,
    materials: Materials,
) -> Transformed:
    """Pasted onto another picture, smaller than that."""
    longest = max(size_of(pixels))
    size = (longest, round(longest / ratio)) if ratio > 1 else (round(longest * ratio), longest)
    return shrunk_onto(materials.picture(ground, size), pixels, left, top, width, opacity)


def _sample_paste(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    width = uniform(rng, 0.2, 0.6)
    return {
        "other": seed(rng),
        "width": width,
        "left": uniform(rng, 0, 1 - width),
        "top": uniform(rng, 0, 0.7),
        "opacity": uniform(rng, 0.5, 1),
    }


@COMPOSITIONS.kind(_sample_paste)
def overlay_image(
    pixels: Pixels, other: int, width: float, left: float, top: float, opacity: float, materials: Materials
) -> Pixels:
    """Another picture pasted onto it."""
    side = max(16, round(width * size_of(pixels)[0]))
    return shrunk_onto(pixels, materials.picture(other, (side, side)), left, top, width, opacity).pixels


@COMPOSITIONS.kind(lambda rng, size: {"other": seed(rng), "share": uniform(rng, 0.2, 0.5)})
def blend(pixels: Pixels, other: int, share: float, materials: Materials) -> Pixels:
    """Another picture shining through all of it."""
    import cv2

    return np.asarray(cv2.addWeighted(pixels, 1 - share, materials.picture(other, size_of(pixels)), share, 0))


def _sample_collage(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    layout = one_of(rng, [[1, 2], [2, 1], [2, 2], [1, 3], [3, 1], [2, 3], [3, 3]])
    return {
        "rows": layout[0],
        "columns": layout[1],
        "cell": whole(rng, 0, layout[0] * layout[1] - 1),
        "others": seed(rng),
        "gap": uniform(rng, 0, 0.04),
        "ground": colour(rng),
    }


@COMPOSITIONS.kind(_sample_collage)
def collage(
    pixels: Pixels,
    rows: int,
    columns: int,
    cell: int,
    others: int,
    gap: float,
    ground: list[int],
    materials: Materials,
) -> Transformed:
    """One of several pictures in a table."""
    import cv2

    full = size_of(pixels)
    shrink = 1 / max(rows, columns) if max(full) > 400 else 0.75
    size = max(24, round(full[0] * shrink)), max(24, round(full[1] * shrink))
    space = round(gap * max(size))
    step = size[0] + space, size[1] + space
    result_size = columns * step[0] + space, rows * step[1] + space
    result = np.full((result_size[1], result_size[0], 3), ground, np.uint8)
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        x, y = space + column * step[0], space + row * step[1]
        if number == cell:
            part = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
            matrix = shift(x, y) @ scaling(size[0] / full[0], size[1] / full[1])
        else:
            part = materials.picture(others + number, size)
        result[y : y + size[1], x : x + size[0]] = part
    return Transformed(result, Geometry(full, result_size, (Homography(matrix),)))


def _sample_meme(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "height": uniform(rng, 0.15, 0.45),
        "face": whole(rng, 0, FACES - 1),
        "dark": either(rng, 0.25),
        "above": either(rng, 0.8),
        "below": either(rng, 0.25),
    }


@COMPOSITIONS.kind(_sample_meme)
def meme_format(
    pixels: Pixels, seed: int, height: float, face: int, dark: bool, above: bool, below: bool
) -> Transformed:
    """A caption on a plain strip above it, below it, or both."""
    width, tall = size_of(pixels)
    strip = max(16, round(height * tall))
    top = strip if above or not below else 0
    bottom = strip if below else 0
    ground, ink = ((12, 12, 12), (255, 255, 255)) if dark else ((255, 255, 255), (10, 10, 10))
    page = Image.new("RGB", (width, tall + top + bottom), ground)
    page.paste(Image.fromarray(pixels), (0, top))
    draw = ImageDraw.Draw(page)
    for number, (start, room) in enumerate(((0, top), (top + tall, bottom))):
        if room:
            letters = font(face, max(8, round(min(room * 0.3, width / 12))))
            text = f"{words(seed + number, 4)}\n{words(seed + number + 2, 3)}"
            draw.multiline_text((width * 0.04, start + room * 0.12), text, ink, letters)
    matrix = shift(0, top)
    return Transformed(np.array(page), Geometry((width, tall), page.size, (Homography(matrix),)))


def _sample_screenshot(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "width": uniform(rng, 0.45, 1),
        "head": uniform(rng, 0.08, 0.5),
        "foot": uniform(rng, 0.08, 0.7),
        "dark": either(rng, 0.35),
    }


@COMPOSITIONS.kind(_sample_screenshot)
def overlay_onto_screenshot(
    pixels: Pixels, seed: int, width: float, head: float, foot: float, dark: bool
) -> Transformed:
    """Shown in an app: bars, names, buttons, comments and other entries around it."""
    rng = np.random.default_rng(seed)
    full_width, full_height = size_of(pixels)
    page_width = round(full_width / width)
    unit = max(6, page_width // 24)
    top, bottom = round(head * page_width), round(foot * page_width)
    ground, ink = ((24, 26, 30), (225, 225, 228)) if dark else ((250, 250, 252), (30, 30, 34))
    accent = tuple(int(value) for value in rng.integers(30, 230, 3))
    page = Image.new("RGB", (page_width, top + full_height + bottom), ground)
    draw = ImageDraw.Draw(page)
    left = round((page_width - full_width) * (0.5 if rng.random() < 0.7 else rng.random()))
    draw.rectangle((0, 0, page_width, unit), fill=accent if rng.random() < 0.5 else ground)
    draw.text((unit // 2, unit * 0.1), "12:34", ink, font(0, round(unit * 0.7)))
    _draw_entry(draw, rng, (unit // 2, max(unit, top - 3 * unit)), unit, ink, accent)
    for y in range(2 * unit, top - 4 * unit, 2 * unit):
        draw.text((unit, y), words(seed + y, 5), ink, font(0, unit))
    page.paste(Image.fromarray(pixels), (left, top))
    below = top + full_height
    for number in range(4):
        page.paste(emoji(number + seed % 50, unit), (unit // 2 + number * 2 * unit, below + unit // 2))
    for y in range(below + 2 * unit, page.height - unit, 3 * unit):
        _draw_entry(draw, rng, (unit // 2, y), unit, ink, accent)
    if rng.random() < 0.4:
        draw.rectangle((0, page.height - 2 * unit, page_width, page.height), fill=accent)
    matrix = shift(left, top)
    return Transformed(np.array(page), Geometry((full_width, full_height), page.size, (Homography(matrix),)))


def _draw_entry(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    at: tuple[int, int],
    unit: int,
    ink: tuple[int, int, int],
    accent: tuple[int, ...],
) -> None:
    """A round portrait with a name and a line of words."""
    x, y = at
    draw.ellipse((x, y, x + 2 * unit, y + 2 * unit), fill=accent)
    draw.text((x + 2.5 * unit, y), words(int(rng.integers(10**6)), 2), ink, font(1, round(unit * 0.8)))
    draw.text((x + 2.5 * unit, y + unit), words(int(rng.integers(10**6)), 4), ink, font(0, round(unit * 0.7)))


def _sample_frame(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "width": uniform(rng, 0.03, 0.16),
        "colour": colour(rng),
        "mat": uniform(rng, 0, 0.12),
        "round": uniform(rng, 0, 0.3),
    }


@COMPOSITIONS.kind(_sample_frame)
def picture_frame(pixels: Pixels, width: float, colour: list[int], mat: float, round: float) -> Transformed:
    """In a frame with a pale mat, its corners rounded."""
    full = size_of(pixels)
    shortest = min(full)
    bar, pale = int(width * shortest) + 1, int(mat * shortest)
    edge = bar + pale
    page = Image.new("RGB", (full[0] + 2 * edge, full[1] + 2 * edge), tuple(colour))
    draw = ImageDraw.Draw(page)
    draw.rectangle((bar, bar, page.width - bar - 1, page.height - bar - 1), fill=(242, 240, 234))
    draw.line((0, 0, page.width, 0), fill=(255, 255, 255), width=max(1, bar // 4))
    mask = Image.new("L", full, 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, full[0] - 1, full[1] - 1), round * shortest / 2, fill=255)
    page.paste(Image.fromarray(pixels), (edge, edge), mask)
    return Transformed(np.array(page), Geometry(full, page.size, (Homography(shift(edge, edge)),)))


@COMPOSITIONS.kind(lambda rng, size: {"upright": either(rng), "second": either(rng)})
def mirrored_twin(pixels: Pixels, upright: bool, second: bool) -> Transformed:
    """The picture and its mirror image side by side; the geometry is the picture's."""
    width, height = full = size_of(pixels)
    axis = 0 if upright else 1
    mirrored = pixels[::-1] if upright else pixels[:, ::-1]
    pair = (mirrored, pixels) if second else (pixels, mirrored)
    result = np.concatenate(pair, axis=axis)
    moved = ((0, height) if upright else (width, 0)) if second else (0, 0)
    return Transformed(result, Geometry(full, size_of(result), (Homography(shift(*moved)),)))
