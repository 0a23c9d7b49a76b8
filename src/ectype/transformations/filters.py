"""Edits that look at a neighbourhood: blur, sharpness, blocks, and pictures turned into drawings."""

from __future__ import annotations

from typing import Any

import numpy as np

from ectype.transformations.chance import log_uniform, one_of, uniform
from ectype.transformations.geometry import Size
from ectype.transformations.kinds import Family, Pixels, size_of
from ectype.transformations.tone import luminance

FILTERS = Family("filters")


def _odd(value: float) -> int:
    return max(1, round(value)) | 1


@FILTERS.kind(lambda rng, size: {"radius": log_uniform(rng, 0.004, 0.03)})
def blur(pixels: Pixels, radius: float) -> Pixels:
    """Gaussian; the radius is a share of the shorter side."""
    import cv2

    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), max(0.3, radius * min(size_of(pixels)))))


@FILTERS.kind(lambda rng, size: {"length": uniform(rng, 0.02, 0.1), "degrees": uniform(rng, 0, 180)})
def motion_blur(pixels: Pixels, length: float, degrees: float) -> Pixels:
    """As if the camera had moved; the length is a share of the shorter side."""
    import cv2

    side = _odd(length * min(size_of(pixels)))
    kernel = np.zeros((side, side), np.float32)
    reach = (side - 1) / 2
    step = reach * np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    start, end = (tuple(int(value) for value in np.rint(reach + sign * step)) for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    return np.asarray(cv2.filter2D(pixels, -1, kernel / kernel.sum()))


@FILTERS.kind(lambda rng, size: {"amount": uniform(rng, 1, 8), "radius": uniform(rng, 0.8, 3)})
def sharpen(pixels: Pixels, amount: float, radius: float) -> Pixels:
    """The difference from a blurred copy, added several times over."""
    import cv2

    soft = cv2.GaussianBlur(pixels, (0, 0), radius)
    return np.asarray(cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0))


def _sample_pil(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "name": one_of(
            rng, ["contour", "detail", "edge_enhance", "emboss", "find_edges", "min", "max", "median", "mode"]
        )
    }


@FILTERS.kind(_sample_pil)
def pil_filter(pixels: Pixels, name: str) -> Pixels:
    """One of the filters that imaging libraries offer by name."""
    import cv2

    if name in ("min", "max"):
        operation = cv2.erode if name == "min" else cv2.dilate
        return np.asarray(operation(pixels, np.ones((5, 5), np.uint8)))
    if name in ("median", "mode"):
        return np.asarray(cv2.medianBlur(pixels, 5 if name == "median" else 9))
    kernel, offset = _KERNELS[name]
    return np.asarray(cv2.filter2D(pixels, -1, np.array(kernel, np.float32), delta=offset))


_KERNELS = {
    "contour": ([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], 255),
    "detail": ([[0, -1 / 6, 0], [-1 / 6, 10 / 6, -1 / 6], [0, -1 / 6, 0]], 0),
    "edge_enhance": ([[-0.5, -0.5, -0.5], [-0.5, 5, -0.5], [-0.5, -0.5, -0.5]], 0),
    "emboss": ([[-1, -1, 0], [-1, 0, 1], [0, 1, 1]], 128),
    "find_edges": ([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], 0),
}


@FILTERS.kind(lambda rng, size: {"cells": int(rng.integers(16, 72))})
def pixelization(pixels: Pixels, cells: int) -> Pixels:
    """Square blocks of one colour, so many along the longer side."""
    return _blocks(pixels, cells)


def _blocks(pixels: Pixels, cells: int) -> Pixels:
    import cv2

    width, height = size_of(pixels)
    factor = cells / max(width, height)
    few = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(pixels, few, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST))


@FILTERS.kind(lambda rng, size: {"cells": int(rng.integers(18, 56)), "levels": int(rng.integers(4, 16))})
def legofy(pixels: Pixels, cells: int, levels: int) -> Pixels:
    """Built of studded bricks in few colours."""
    height, width = pixels.shape[:2]
    bricks = _blocks(pixels, cells)
    bricks = (np.rint(bricks / 255 * levels) * (255 / levels)).astype(np.int16)
    side = max(width, height) / cells
    x = (np.arange(width) % side) / side - 0.5
    y = ((np.arange(height) % side) / side - 0.5)[:, None]
    distance = np.sqrt(x**2 + y**2)
    stud = np.where(np.abs(distance - 0.3) < 0.08, (-x - y) * 90, 0)
    joint = np.where(np.maximum(np.abs(x), np.abs(y)) > 0.45, -25, 0)
    return np.asarray(np.clip(bricks + (stud + joint)[..., None], 0, 255), np.uint8)


@FILTERS.kind(
    lambda rng, size: {"cell": uniform(rng, 0.012, 0.04), "degrees": uniform(rng, 0, 90), "ink": bool(rng.integers(2))}
)
def halftone(pixels: Pixels, cell: float, degrees: float, ink: bool) -> Pixels:
    """Printed as dots; with `ink`, each colour on its own."""
    height, width = pixels.shape[:2]
    period = max(3.0, cell * min(width, height))
    values = pixels if ink else luminance(pixels)[..., None]
    channels = []
    for channel in range(values.shape[2]):
        angle = np.deg2rad(degrees + 30 * channel)
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
        along = np.cos((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period))
        across = np.cos((y * np.cos(angle) - x * np.sin(angle)) * (2 * np.pi / period))
        screen = 128 + 64 * (along + across)
        channels.append(np.clip((values[..., channel].astype(np.float32) - screen) * 4 + 128, 0, 255))
    printed = np.stack(channels, axis=2).astype(np.uint8)
    return printed if ink else np.repeat(printed, 3, axis=2)


@FILTERS.kind(lambda rng, size: {"radius": uniform(rng, 2, 7), "colour": uniform(rng, 0, 0.6)})
def sketch(pixels: Pixels, radius: float, colour: float) -> Pixels:
    """A pencil drawing, with a share of the colours left."""
    import cv2

    grey = luminance(pixels)
    soft = cv2.GaussianBlur(255 - grey, (0, 0), radius)
    lines = cv2.divide(grey, 255 - soft, scale=256)
    drawn = np.repeat(lines[..., None], 3, axis=2)
    return np.asarray(cv2.addWeighted(pixels, colour, drawn, 1 - colour, 0))


@FILTERS.kind(lambda rng, size: {"size": int(rng.integers(3, 8)), "levels": int(rng.integers(5, 14))})
def painting(pixels: Pixels, size: int, levels: int) -> Pixels:
    """Broad strokes of few tones."""
    import cv2

    smooth = cv2.medianBlur(pixels, 2 * size + 1)
    flat = (smooth.astype(np.uint16) * levels // 256 * 255 // max(1, levels - 1)).astype(np.uint8)
    edges = cv2.adaptiveThreshold(
        cv2.medianBlur(luminance(pixels), 5), 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 5
    )
    return np.asarray(cv2.bitwise_and(flat, flat, mask=edges))


@FILTERS.kind(lambda rng, size: {"share": uniform(rng, 0.4, 1)})
def glowing_edges(pixels: Pixels, share: float) -> Pixels:
    """Bright outlines on a dark ground."""
    import cv2

    x, y = (cv2.Sobel(pixels, cv2.CV_16S, *order) for order in ((1, 0), (0, 1)))
    edges = cv2.add(cv2.convertScaleAbs(x), cv2.convertScaleAbs(y))
    return np.asarray(cv2.addWeighted(edges, share, pixels, (1 - share) * 0.8, 0))


@FILTERS.kind(
    lambda rng, size: {
        "period": int(rng.integers(2, 8)),
        "depth": uniform(rng, 0.2, 0.8),
        "upright": bool(rng.integers(2)),
    }
)
def scan_lines(pixels: Pixels, period: int, depth: float, upright: bool) -> Pixels:
    """Dark lines at even distances, as on an old screen."""
    count = pixels.shape[1 if upright else 0]
    light = np.where(np.arange(count) % period < max(1, period // 2), 1.0, 1 - depth).astype(np.float32)
    shape = (1, -1, 1) if upright else (-1, 1, 1)
    return (pixels * light.reshape(shape)).astype(np.uint8)


@FILTERS.kind(lambda rng, size: {"distance": int(rng.integers(2, 9)), "upright": bool(rng.integers(2))})
def colour_fringe(pixels: Pixels, distance: int, upright: bool) -> Pixels:
    """Red and blue shifted apart, as by a bad lens or a glitch."""
    axis = 0 if upright else 1
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return np.stack([np.roll(red, distance, axis), green, np.roll(blue, -distance, axis)], axis=2)
