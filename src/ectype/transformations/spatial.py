"""Edits that move the picture: crops, turns, mirrors, stretches, frames and views from the side."""

from __future__ import annotations

from typing import Any

import numpy as np

from ectype.transformations.chance import colour, either, log_uniform, one_of, uniform
from ectype.transformations.geometry import (
    Geometry,
    Homography,
    Size,
    between,
    corners,
    scaling,
    shift,
    turn,
)
from ectype.transformations.kinds import Family, Pixels, Transformed, size_of
from ectype.transformations.placing import place, shrink_before

SPATIAL = Family("spatial")
SMALLEST = 32
"""Pixels a side that an edit leaves at least, where the picture had as many."""


def _sample_crop(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    width, height = uniform(rng, 0.3, 0.95), uniform(rng, 0.3, 0.95)
    return {
        "left": uniform(rng, 0, 1 - width),
        "top": uniform(rng, 0, 1 - height),
        "width": width,
        "height": height,
    }


@SPATIAL.kind(_sample_crop)
def crop(pixels: Pixels, left: float, top: float, width: float, height: float) -> Transformed:
    """A part of the picture; all as shares of its sides."""
    full = size_of(pixels)
    least = [min(SMALLEST, side) for side in full]
    size = max(round(full[0] * width), least[0]), max(round(full[1] * height), least[1])
    x, y = min(round(full[0] * left), full[0] - size[0]), min(round(full[1] * top), full[1] - size[1])
    cut = np.ascontiguousarray(pixels[y : y + size[1], x : x + size[0]])
    return Transformed(cut, Geometry(full, size, (Homography(shift(-x, -y)),)))


@SPATIAL.kind(lambda rng, size: {})
def hflip(pixels: Pixels) -> Transformed:
    """Left and right exchanged."""
    size = size_of(pixels)
    matrix = shift(size[0], 0) @ scaling(-1, 1)
    return Transformed(np.ascontiguousarray(pixels[:, ::-1]), Geometry(size, size, (Homography(matrix),)))


@SPATIAL.kind(lambda rng, size: {})
def vflip(pixels: Pixels) -> Transformed:
    """Top and bottom exchanged."""
    size = size_of(pixels)
    matrix = shift(0, size[1]) @ scaling(1, -1)
    return Transformed(np.ascontiguousarray(pixels[::-1]), Geometry(size, size, (Homography(matrix),)))


def _sample_rotate(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    free = one_of(rng, [(-20, 20), (-45, 45), (-180, 180)])
    return {
        "degrees": uniform(rng, *free),
        "whole": either(rng, 0.6),
        "fill": colour(rng) if either(rng) else [0, 0, 0],
    }


@SPATIAL.kind(_sample_rotate)
def rotate(pixels: Pixels, degrees: float, whole: bool, fill: list[int]) -> Transformed:
    """Turned clockwise; `whole` makes room for the corners, else they are cut off."""
    size = width, height = size_of(pixels)
    centred = turn(degrees) @ shift(-width / 2, -height / 2)
    if whole:
        moved = Homography(centred).to_result(corners(size))
        size = tuple(int(side) for side in np.ceil(np.ptp(moved, axis=0) - 1e-6))  # type: ignore[assignment]
    return place(pixels, shift(size[0] / 2, size[1] / 2) @ centred, size, fill)


@SPATIAL.kind(lambda rng, size: {"turns": int(rng.integers(1, 4))})
def quarter_turn(pixels: Pixels, turns: int) -> Transformed:
    """Turned clockwise by one to three quarters."""
    width, height = size_of(pixels)
    turned = np.ascontiguousarray(np.rot90(pixels, -turns))
    size = size_of(turned)
    matrix = shift(size[0] / 2, size[1] / 2) @ np.rint(turn(90 * turns)) @ shift(-width / 2, -height / 2)
    return Transformed(turned, Geometry((width, height), size, (Homography(matrix),)))


@SPATIAL.kind(lambda rng, size: {"ratio": log_uniform(rng, 0.5, 2)})
def change_aspect_ratio(pixels: Pixels, ratio: float) -> Pixels:
    """Stretched so that width by height is multiplied by a ratio, with about as many pixels."""
    width, height = size_of(pixels)
    return _resize(pixels, (round(width * ratio**0.5), round(height / ratio**0.5)))


@SPATIAL.kind(lambda rng, size: {"factor": log_uniform(rng, 0.2, 0.75)})
def scale(pixels: Pixels, factor: float) -> Pixels:
    """Made smaller."""
    width, height = size_of(pixels)
    factor = max(factor, min(1.0, SMALLEST / min(width, height)))
    return _resize(pixels, (round(width * factor), round(height * factor)))


@SPATIAL.kind(lambda rng, size: {"longest": int(rng.integers(64, 257))})
def clip_image_size(pixels: Pixels, longest: int) -> Pixels:
    """Made so small that no side is longer than a limit."""
    width, height = size_of(pixels)
    factor = min(1.0, longest / max(width, height))
    return _resize(pixels, (round(width * factor), round(height * factor)))


def _resize(pixels: Pixels, size: Size) -> Pixels:
    import cv2

    size = max(1, size[0]), max(1, size[1])
    smaller = size[0] <= pixels.shape[1] and size[1] <= pixels.shape[0]
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR))


@SPATIAL.kind(lambda rng, size: {"fill": colour(rng)})
def pad_square(pixels: Pixels, fill: list[int]) -> Transformed:
    """A frame on the two shorter sides that makes it a square."""
    width, height = size_of(pixels)
    side = max(width, height)
    return _frame(pixels, (side - width) // 2, (side - height) // 2, (side, side), fill)


@SPATIAL.kind(
    lambda rng, size: {"across": uniform(rng, 0.03, 0.5), "along": uniform(rng, 0.03, 0.5), "fill": colour(rng)}
)
def pad(pixels: Pixels, across: float, along: float, fill: list[int]) -> Transformed:
    """A frame on all sides, as shares of width and height."""
    width, height = size_of(pixels)
    x, y = round(width * across), round(height * along)
    return _frame(pixels, x, y, (width + 2 * x, height + 2 * y), fill)


def _frame(pixels: Pixels, x: int, y: int, size: Size, fill: list[int]) -> Transformed:
    width, height = size_of(pixels)
    framed = np.full((size[1], size[0], 3), fill, np.uint8)
    framed[y : y + height, x : x + width] = pixels
    return Transformed(framed, Geometry((width, height), size, (Homography(shift(x, y)),)))


def _sample_perspective(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    strength = uniform(rng, 0.05, 0.3)
    return {"moves": [[uniform(rng, -strength, strength) for _ in range(2)] for _ in range(4)], "fill": colour(rng)}


@SPATIAL.kind(_sample_perspective)
def perspective(pixels: Pixels, moves: list[list[float]], fill: list[int]) -> Transformed:
    """Each corner moved by shares of the sides, as seen from the side; nothing is cut off."""
    size = size_of(pixels)
    moved = corners(size) + np.array(moves) * size
    low, high = moved.min(axis=0), moved.max(axis=0)
    result = tuple(int(side) for side in np.ceil(high - low))
    return place(pixels, between(corners(size), moved - low), (result[0], result[1]), fill)


@SPATIAL.kind(lambda rng, size: {"slant": uniform(rng, -0.6, 0.6), "upright": either(rng), "fill": colour(rng)})
def skew(pixels: Pixels, slant: float, upright: bool, fill: list[int]) -> Transformed:
    """Slanted; nothing is cut off."""
    width, height = size_of(pixels)
    matrix = np.eye(3)
    matrix[(1, 0) if upright else (0, 1)] = slant
    room = abs(slant) * (width if upright else height)
    result = (width, round(height + room)) if upright else (round(width + room), height)
    start = max(0.0, -slant) * (width if upright else height)
    return place(pixels, (shift(0, start) if upright else shift(start, 0)) @ matrix, result, fill)


@SPATIAL.kind(lambda rng, size: {"factor": uniform(rng, 1.1, 2.2), "degrees": uniform(rng, -35, 35)})
def zoom_and_turn(pixels: Pixels, factor: float, degrees: float) -> Transformed:
    """The middle, larger and turned; what is outside of the picture is mirrored."""
    width, height = size_of(pixels)
    matrix = shift(width / 2, height / 2) @ scaling(factor, factor) @ turn(degrees) @ shift(-width / 2, -height / 2)
    return place(pixels, matrix, (width, height), None)


@SPATIAL.kind(lambda rng, size: {"x": uniform(rng, -0.4, 0.4), "y": uniform(rng, -0.4, 0.4)})
def roll(pixels: Pixels, x: float, y: float) -> Transformed:
    """Shifted, with the picture repeated where it leaves a gap; the geometry is that of the larger part."""
    width, height = size_of(pixels)
    right, down = round(x * width), round(y * height)
    moved = np.roll(pixels, (down, right), axis=(0, 1))
    return Transformed(moved, Geometry((width, height), (width, height), (Homography(shift(right, down)),)))


def shrunk_onto(
    ground: Pixels, pixels: Pixels, left: float, top: float, width: float, opacity: float = 1.0
) -> Transformed:
    """Paste a picture onto a ground: its left upper corner and its width as shares of the ground's.

    The geometry is the pasted picture's.
    """
    import cv2

    ground_width, ground_height = size_of(ground)
    full = size_of(pixels)
    target_width = max(8, round(width * ground_width))
    factor = target_width / full[0]
    size = target_width, max(8, round(full[1] * factor))
    part = np.asarray(cv2.resize(shrink_before(pixels, factor), size, interpolation=cv2.INTER_LINEAR))
    x, y = int(left * ground_width), int(top * ground_height)
    shown_width, shown_height = min(size[0], ground_width - x), min(size[1], ground_height - y)
    result = ground.copy()
    under = result[y : y + shown_height, x : x + shown_width]
    over = part[:shown_height, :shown_width]
    result[y : y + shown_height, x : x + shown_width] = cv2.addWeighted(over, opacity, under, 1 - opacity, 0)
    matrix = shift(x, y) @ scaling(size[0] / full[0], size[1] / full[1])
    return Transformed(result, Geometry(full, (ground_width, ground_height), (Homography(matrix),)))
