"""Edits that nobody makes on purpose: random masks, lights, filters and colours, wide enough to hold what is unknown.

What a picture is recognised by after these doesn't hang on any one kind of edit. Random convolutions come from Xu et
al., "Robust and generalizable visual representation learning via random convolutions" (ICLR 2021), masks cut from noise
from Harris et al., "FMix" (2020).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ectype.transformations.chance import colour, either, one_of, seed, uniform, whole
from ectype.transformations.geometry import Size
from ectype.transformations.kinds import Family, Pixels, rounded, size_of
from ectype.transformations.materials import Materials
from ectype.transformations.tone import mixed

WILD = Family("wild")

Field = NDArray[np.float32]
"""Values from 0 to 1 over a picture, (h, w)."""


def _clouds(rng: np.random.Generator, size: Size, cells: int, roughness: float) -> Field:
    """Noise of several scales, from so many cells a side; each finer one counts `roughness` times the one before."""
    import cv2

    total = np.zeros((size[1], size[0]), np.float32)
    for octave in range(4):
        count = cells * 2**octave
        coarse = rng.random((count, count), dtype=np.float32)
        total += roughness**octave * np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))
    return np.asarray((total - total.min()) / max(float(np.ptp(total)), 1e-6), np.float32)


def _pattern(rng: np.random.Generator, size: Size, cells: int) -> Field:
    """Waves of one direction, or of two: stripes, or chequers."""
    width, height = size
    angle = float(rng.uniform(0, np.pi)) if rng.random() < 0.5 else float(rng.integers(2)) * np.pi / 2
    phases = rng.uniform(0, 2 * np.pi, 2)
    x = np.arange(width, dtype=np.float32) / max(size)
    y = np.arange(height, dtype=np.float32)[:, None] / max(size)
    turns = np.float32(2 * np.pi * cells)
    along = np.cos(turns * (x * np.cos(angle) + y * np.sin(angle)) + phases[0])
    if rng.random() < 0.5:
        along = along * np.cos(turns * (y * np.cos(angle) - x * np.sin(angle)) + phases[1])
    return np.asarray((along + 1) / 2, np.float32)


def _sample_mask(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "clouds": either(rng, 0.6),
        "cells": whole(rng, 2, 8),
        "roughness": uniform(rng, 0.2, 0.8),
        "cover": uniform(rng, 0.15, 0.6),
        "softness": uniform(rng, 0.01, 0.3),
        "fill": one_of(rng, ["colour", "picture", "grain", "mirror"]),
        "colour": colour(rng),
    }


@WILD.kind(_sample_mask)
def noise_mask(
    pixels: Pixels,
    seed: int,
    clouds: bool,
    cells: int,
    roughness: float,
    cover: float,
    softness: float,
    fill: str,
    colour: list[int],
    materials: Materials,
) -> Pixels:
    """Parts hidden by a colour, another picture, grain or the mirrored picture; `cover` is their share."""
    rng = np.random.default_rng(seed)
    size = size_of(pixels)
    field = _clouds(rng, size, cells, roughness) if clouds else _pattern(rng, size, cells)
    threshold = float(np.quantile(field[::2, ::2], 1 - cover))
    hidden = np.clip((field - threshold) / softness + 0.5, 0, 1)[..., None]
    if fill == "picture":
        filling = materials.picture(int(rng.integers(2**31)), size)
    elif fill == "grain":
        filling = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
    elif fill == "mirror":
        filling = pixels[::-1, ::-1]
    else:
        filling = np.broadcast_to(np.array(colour, np.uint8), pixels.shape)
    return rounded(pixels * (1 - hidden) + filling * hidden)


def _sample_light(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "cells": whole(rng, 1, 6),
        "roughness": uniform(rng, 0.2, 0.9),
        "way": one_of(rng, ["haze", "multiply", "screen", "add"]),
        "strength": uniform(rng, 0.4, 0.9),
        "coloured": either(rng),
    }


@WILD.kind(_sample_light)
def noise_light(
    pixels: Pixels, seed: int, cells: int, roughness: float, way: str, strength: float, coloured: bool
) -> Pixels:
    """Uneven light, smoke or stains over all of the picture."""
    rng = np.random.default_rng(seed)
    size = size_of(pixels)
    fields = [_clouds(rng, size, cells, roughness) for _ in range(3 if coloured else 1)]
    field = np.stack(fields * (3 // len(fields)), axis=2)
    if way == "haze":
        veil = strength * (0.4 + 0.6 * field[..., :1])
        return rounded(pixels * (1 - veil) + rng.integers(0, 256, 3) * veil)
    if way == "multiply":
        return rounded(pixels * (1 - strength * field))
    if way == "screen":
        return rounded(255 - (255 - pixels.astype(np.float32)) * (1 - strength * field))
    return rounded(pixels + 255 * strength * (field - 0.5))


def _sample_filter(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "side": one_of(rng, [1, 3, 3, 5, 7]),
        "layers": whole(rng, 1, 3),
        "share": uniform(rng, 0.4, 1),
    }


@WILD.kind(_sample_filter)
def random_filter(pixels: Pixels, seed: int, side: int, layers: int, share: float) -> Pixels:
    """Through a small network of random weights, and mixed with a share of what went in."""
    import cv2

    rng = np.random.default_rng(seed)
    values = pixels.astype(np.float32)
    mean, deviation = values.mean((0, 1)), values.std((0, 1)) + 1
    values = (values - mean) / deviation
    for layer in range(layers):
        if layer:
            values = np.maximum(values, 0.1 * values)
        mixing = rng.normal(size=(3, 3)).astype(np.float32)
        kernel = rng.normal(size=(side, side)).astype(np.float32)
        values = np.asarray(cv2.filter2D(cv2.transform(values, mixing), -1, kernel, borderType=cv2.BORDER_REFLECT_101))
        values = (values - values.mean((0, 1))) / (values.std((0, 1)) + 1e-3)
    return rounded(share * (values * deviation + mean) + (1 - share) * pixels)


def _sample_matrix(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {"seed": seed(rng), "strength": uniform(rng, 0.4, 1)}


@WILD.kind(_sample_matrix)
def colour_matrix(pixels: Pixels, seed: int, strength: float) -> Pixels:
    """Each colour a random mixture of all three, about a mean that moves, too."""
    rng = np.random.default_rng(seed)
    matrix = (1 - strength) * np.eye(3) + strength * rng.normal(0, 0.7, (3, 3))
    mean = pixels.mean((0, 1))
    towards = mean + strength * rng.uniform(-80, 80, 3)
    return mixed(pixels, np.concatenate([matrix, (towards - matrix @ mean)[:, None]], axis=1))
