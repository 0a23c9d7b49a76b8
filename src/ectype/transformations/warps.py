"""Edits that bend the picture smoothly, each a grid of places where the result comes from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ectype.transformations.chance import one_of, seed, uniform
from ectype.transformations.geometry import Size
from ectype.transformations.kinds import Family, Pixels, Transformed, size_of
from ectype.transformations.placing import bend, grid

WARPS = Family("warps")


def _sample_wave(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    axis = one_of(rng, ["x", "y", "both"])
    return {
        "axis": axis,
        "waves": uniform(rng, 0.7, 4),
        "height": uniform(rng, 0.01, 0.05),
        "phase": uniform(rng, 0, 6.28),
    }


@WARPS.kind(_sample_wave)
def wave(pixels: Pixels, axis: str, waves: float, height: float, phase: float) -> Transformed:
    """Waves along one side or both; their height is a share of the side."""
    size = np.array(size_of(pixels))
    nodes = grid(size_of(pixels))
    steepness = 2 * np.pi * waves
    amplitude = min(height, 0.8 / steepness)  # steeper waves would fold the picture
    swing = amplitude * size * np.sin(steepness * nodes[..., ::-1] / size[::-1] + phase)
    return bend(pixels, nodes + swing * {"x": (1, 0), "y": (0, 1), "both": (1, 1)}[axis])


@WARPS.kind(
    lambda rng, size: {
        "degrees": uniform(rng, -120, 120),
        "reach": uniform(rng, 0.4, 0.9),
        "x": uniform(rng, 0.3, 0.7),
        "y": uniform(rng, 0.3, 0.7),
    }
)
def swirl(pixels: Pixels, degrees: float, reach: float, x: float, y: float) -> Transformed:
    """Turned about a point, the less the farther from it."""
    size = np.array(size_of(pixels))
    nodes = grid(size_of(pixels))
    offset = nodes - size * (x, y)
    distance = np.linalg.norm(offset, axis=-1) / (reach * size.min())
    angle = np.deg2rad(degrees) * np.clip(1 - distance, 0, 1) ** 2
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = np.stack(
        [offset[..., 0] * cosine - offset[..., 1] * sine, offset[..., 0] * sine + offset[..., 1] * cosine], axis=-1
    )
    return bend(pixels, size * (x, y) + turned)


@WARPS.kind(lambda rng, size: {"strength": uniform(rng, -0.16, 0.6)})
def lens(pixels: Pixels, strength: float) -> Transformed:
    """As through a lens: bulging out above zero, drawn in below."""
    size = np.array(size_of(pixels))
    nodes = grid(size_of(pixels))
    offset = (nodes - size / 2) / (size / 2)
    square = (offset**2).sum(axis=-1, keepdims=True)
    return bend(pixels, size / 2 + (nodes - size / 2) * (1 + strength * square) / (1 + max(0.0, strength)))


@WARPS.kind(
    lambda rng, size: {"seed": seed(rng), "cells": int(rng.integers(3, 8)), "strength": uniform(rng, 0.1, 0.35)}
)
def elastic(pixels: Pixels, seed: int, cells: int, strength: float) -> Transformed:
    """Pulled about like rubber; the pull is a share of a cell of a coarse grid."""
    import cv2

    size = np.array(size_of(pixels))
    pull = np.random.default_rng(seed).uniform(-1, 1, (cells + 1, cells + 1, 2)) * strength * size / cells
    nodes = grid(size_of(pixels))
    smooth = cv2.resize(pull.astype(np.float32), nodes.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return bend(pixels, nodes + smooth)


@WARPS.kind(lambda rng, size: {"strength": uniform(rng, 0.15, 0.5), "upright": bool(rng.integers(2))})
def cylinder(pixels: Pixels, strength: float, upright: bool) -> Transformed:
    """As printed around a can."""
    size = np.array(size_of(pixels))
    nodes = grid(size_of(pixels))
    axis = 0 if upright else 1
    place = (nodes[..., axis] / size[axis] - 0.5) * 2
    half = np.arcsin(np.sin(np.pi / 2 * strength))
    bent = np.arcsin(np.clip(place * np.sin(half), -1, 1)) / half
    origins = nodes.copy()
    origins[..., axis] = (bent + 1) / 2 * size[axis]
    other = 1 - axis
    origins[..., other] += (place**2) * strength * 0.12 * size[other] * (1 - 2 * nodes[..., other] / size[other])
    return bend(pixels, origins)
