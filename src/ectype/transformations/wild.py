"""Edits that nobody makes on purpose: random masks, lights, filters and colours, wide enough to hold what is unknown.

What a picture is recognised by after these doesn't hang on any one kind of edit. Random convolutions come from Xu et
al., "Robust and generalizable visual representation learning via random convolutions" (ICLR 2021), masks cut from noise
from Harris et al., "FMix" (2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ectype.transformations.chance import colour, either, log_uniform, one_of, seed, uniform, whole
from ectype.transformations.geometry import Size, Warp, scaling, shift, turn
from ectype.transformations.kinds import Family, Pixels, Transformed, rounded, size_of
from ectype.transformations.materials import Materials
from ectype.transformations.placing import bend, grid, place
from ectype.transformations.tone import mixed

WILD = Family("wild")
_WARP_NODES = 65
_CHANGES = ("picture", "mirror", "invert", "flat")

Field = NDArray[np.float32]
"""Values over a picture, (h, w) or, one for each channel, (h, w, 3)."""


def noise_field(rng: np.random.Generator, size: Size, cells: int, roughness: float) -> Field:
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


def _for_channels(draw: Callable[[], Field], coloured: bool) -> Field:
    """One field for all three channels or, coloured, one for each: (h, w, 3)."""
    fields = [draw() for _ in range(3 if coloured else 1)]
    return np.stack(fields * (3 // len(fields)), axis=2)


def soft_mask(field: Field, threshold: float, softness: float) -> Field:
    """1 where a field is above the threshold, 0 below, and between within half of `softness`: (h, w, 1)."""
    return np.asarray(np.clip((field - threshold) / softness + 0.5, 0, 1), np.float32)[..., None]


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
    field = noise_field(rng, size, cells, roughness) if clouds else _pattern(rng, size, cells)
    threshold = float(np.quantile(field[::2, ::2], 1 - cover))
    hidden = soft_mask(field, threshold, softness)
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
    field = _for_channels(lambda: noise_field(rng, size, cells, roughness), coloured)
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


def _sample_warp(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "cells": whole(rng, 1, 6),
        "roughness": uniform(rng, 0.1, 0.5),
        "steepness": uniform(rng, 0.5, 0.9),
        "times": whole(rng, 1, 8),
    }


@WILD.kind(_sample_warp)
def noise_warp(pixels: Pixels, seed: int, cells: int, roughness: float, steepness: float, times: int) -> Transformed:
    """Bent unevenly, in large and in small, so many times; the picture would fold at a `steepness` of 1."""
    rng = np.random.default_rng(seed)
    size = size_of(pixels)
    nodes = grid(size, _WARP_NODES)
    origins = nodes.reshape(-1, 2)
    for _ in range(times):
        fields = [noise_field(rng, (_WARP_NODES, _WARP_NODES), cells, roughness) for _ in range(2)]
        pull = np.stack([field - field.mean() for field in fields], axis=2)
        slopes = [float(np.linalg.norm(np.diff(pull, axis=axis), axis=2).max()) for axis in (0, 1)]
        steepest = math.hypot(*slopes) * (_WARP_NODES - 1)
        origins = Warp(size, nodes + steepness / steepest * pull * size).to_source(origins)
    return bend(pixels, origins.reshape(nodes.shape))


def _sample_tone(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "strength": uniform(rng, 0.2, 0.7),
        "coloured": either(rng),
        "radius": log_uniform(rng, 0.01, 0.2),
        "detail": log_uniform(rng, 0.25, 5),
        "cells": whole(rng, 1, 5),
    }


@WILD.kind(_sample_tone)
def noise_tone(
    pixels: Pixels, seed: int, strength: float, coloured: bool, radius: float, detail: float, cells: int
) -> Pixels:
    """Two curves of tones, each where the other is not; what is finer than `radius` counts `detail` times."""
    import cv2

    rng = np.random.default_rng(seed)
    size = size_of(pixels)
    ground = np.asarray(cv2.GaussianBlur(pixels, (0, 0), radius * max(size)))
    knots = np.linspace(0, 255, 6)
    toned = []
    for _ in range(2):
        curves = knots[:, None] + strength * rng.uniform(-255, 255, (6, 3 if coloured else 1))
        table = np.stack([np.interp(np.arange(256), knots, curve) for curve in curves.T], axis=1)
        table = np.broadcast_to(table, (256, 3)).astype(np.float32)
        toned.append(table[ground, np.arange(3)])
    here = noise_field(rng, size, cells, 0.3)[..., None]
    fine = pixels.astype(np.float32) - ground
    return rounded(toned[0] * here + toned[1] * (1 - here) + detail * fine)


def _sample_spectrum(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {"seed": seed(rng), "strength": uniform(rng, 0.4, 1.2), "coloured": either(rng)}


@WILD.kind(_sample_spectrum)
def random_spectrum(pixels: Pixels, seed: int, strength: float, coloured: bool) -> Pixels:
    """Waves of some lengths and directions stronger, others weaker, where they are."""
    import cv2

    rng = np.random.default_rng(seed)
    width, height = size_of(pixels)
    x, y = np.fft.rfftfreq(width), np.fft.fftfreq(height)[:, None]
    octave = np.log2(np.maximum(np.hypot(x, y) * max(width, height), 1)).astype(np.float32)
    angle = (np.arctan2(y, x + 1e-9) / np.pi + 0.5).astype(np.float32)

    def gain_of_a_channel() -> Field:
        steps = strength * rng.normal(size=(9, 12)).astype(np.float32)
        steps = np.concatenate([steps, steps[:, :1]], axis=1)  # half a turn is the same direction again
        smooth = cv2.remap(steps, angle * 12, octave, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.exp(np.asarray(smooth, np.float32))

    gain = _for_channels(gain_of_a_channel, coloured)
    gain[0, 0] = 1
    waves = np.fft.rfft2(pixels, axes=(0, 1)) * gain
    values = np.fft.irfft2(waves, (height, width), axes=(0, 1))
    mean, deviation = pixels.mean((0, 1)), pixels.std((0, 1))
    return rounded(mean + (values - mean) * deviation / (values.std((0, 1)) + 1e-3))


def _sample_echoes(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "count": whole(rng, 2, 9),
        "x": uniform(rng, -0.06, 0.06),
        "y": uniform(rng, -0.06, 0.06),
        "degrees": uniform(rng, -6, 6),
        "zoom": uniform(rng, 0, 0.2),
        "way": one_of(rng, ["mean", "lightest", "darkest"]),
    }


@WILD.kind(_sample_echoes)
def echoes(pixels: Pixels, count: int, x: float, y: float, degrees: float, zoom: float, way: str) -> Pixels:
    """The picture over itself, moved, turned and enlarged step by step as far as the parameters say."""
    width, height = size_of(pixels)
    middle = shift(width / 2, height / 2)
    seen = []
    for part in np.linspace(0, 1, count):
        about = turn(degrees * part) @ scaling(1 + zoom * part, 1 + zoom * part)
        matrix = shift(x * width * part, y * height * part) @ middle @ about @ np.linalg.inv(middle)
        seen.append(place(pixels, matrix, (width, height), None).pixels)
    if way == "mean":
        return rounded(np.mean(seen, axis=0))
    return np.asarray(np.max(seen, axis=0) if way == "lightest" else np.min(seen, axis=0), np.uint8)


def _sample_patchwork(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "columns": whole(rng, 2, 7),
        "rows": whole(rng, 1, 7),
        "cover": uniform(rng, 0.2, 0.6),
        "way": one_of(rng, [*_CHANGES, "any"]),
    }


@WILD.kind(_sample_patchwork)
def patchwork(
    pixels: Pixels, seed: int, columns: int, rows: int, cover: float, way: str, materials: Materials
) -> Pixels:
    """Cut into uneven fields; those changed show another picture, a mirrored or inverted field, or one colour.

    They take up a share of `cover` at most.
    """
    rng = np.random.default_rng(seed)
    result = pixels.copy()
    other = materials.picture(int(rng.integers(2**31)), size_of(pixels))
    across, down = (
        np.concatenate([[0], np.sort(rng.integers(0, side + 1, count - 1)), [side]])
        for side, count in zip(size_of(pixels), (columns, rows), strict=True)
    )
    left_over = cover * pixels[..., 0].size
    for number in rng.permutation(columns * rows):
        row, column = divmod(int(number), columns)
        field = np.s_[down[row] : down[row + 1], across[column] : across[column + 1]]
        area = pixels[field][..., 0].size
        if area > left_over:
            continue
        left_over -= area
        now = way if way != "any" else one_of(rng, _CHANGES)
        if now == "picture":
            result[field] = other[field]
        elif now == "mirror":
            result[field] = pixels[field][::-1, ::-1]
        elif now == "invert":
            result[field] = 255 - pixels[field]
        else:
            result[field] = rng.integers(0, 256, 3)
    return result
