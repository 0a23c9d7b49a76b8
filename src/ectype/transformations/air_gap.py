"""Pictures that left the computer: shown on a screen or printed, and photographed again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ectype.transformations.chance import either, seed, uniform
from ectype.transformations.geometry import Size, between, corners
from ectype.transformations.kinds import Family, Pixels, Transformed, size_of
from ectype.transformations.materials import Materials
from ectype.transformations.placing import place

AIR_GAP = Family("air_gap")


@dataclass(frozen=True, slots=True)
class Camera:
    """How the photograph is taken.

    Attributes
    ----------
    tilt, margin : float
        How far corners are moved, and how much of the surroundings is seen, as shares of the sides.
    glare : float
        Brightness of a lamp's reflection, from 0 to 1.
    softness, grain : float
        Deviation of the blur in pixels, and of the noise in levels.
    warmth : float
        Colour of the light: red above zero, blue below.
    ground : int or None
        The picture that is seen around it; nothing but black without one.
    """

    tilt: float
    margin: float
    glare: float
    softness: float
    grain: float
    warmth: float
    ground: int | None


def _sample(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    camera = Camera(
        tilt=uniform(rng, 0.02, 0.16),
        margin=uniform(rng, -0.04, 0.2),
        glare=uniform(rng, 0, 0.6),
        softness=uniform(rng, 0.4, 1.6),
        grain=uniform(rng, 2, 14),
        warmth=uniform(rng, -0.2, 0.2),
        ground=seed(rng) if either(rng, 0.7) else None,
    )
    return {"seed": seed(rng), "camera": asdict(camera)}


@AIR_GAP.kind(_sample)
def screen_photo(pixels: Pixels, seed: int, camera: dict[str, Any], materials: Materials) -> Transformed:
    """Shown on a screen and photographed: sub-pixels that interfere with the sensor, glare, a dark rim."""
    height, width = pixels.shape[:2]
    rng = np.random.default_rng(seed)
    period = rng.uniform(2.1, 4.5)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    bend = 2.0 * np.sin(2 * np.pi * y / (height * rng.uniform(0.5, 2))).astype(np.float32)
    phases = [np.cos(2 * np.pi * (x + bend) / period + channel * 2 * np.pi / 3) for channel in range(3)]
    lit = pixels * (0.92 + rng.uniform(0.03, 0.14) * np.stack(phases, axis=2))
    shown = np.clip(lit, 0, 255).astype(np.uint8)
    return _photographed(shown, rng, Camera(**camera), materials)


@AIR_GAP.kind(_sample)
def print_photo(pixels: Pixels, seed: int, camera: dict[str, Any], materials: Materials) -> Transformed:
    """Printed and photographed: fewer colours, paper grain, pale blacks, a fold or two, a shadow."""
    import cv2

    height, width = pixels.shape[:2]
    rng = np.random.default_rng(seed)
    paper = rng.standard_normal((max(1, height // 2), max(1, width // 2)), np.float32)
    texture = cv2.resize(paper, (width, height))[..., None] * 3
    printed = pixels.astype(np.float32) * rng.uniform(0.7, 0.88) + rng.uniform(20, 45) + texture
    for _ in range(int(rng.integers(0, 3))):
        axis, place_of_fold = int(rng.integers(2)), rng.uniform(0.2, 0.8)
        along = np.arange((height, width)[axis], dtype=np.float32) / (height, width)[axis] - np.float32(place_of_fold)
        light = 1 + 0.25 * np.exp(-((along / 0.006) ** 2)) * np.sign(along) - 0.04 * (along > 0)
        printed *= light.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1)).astype(np.float32)
    shown = np.clip(printed, 0, 255).astype(np.uint8)
    return _photographed(shown, rng, Camera(**camera), materials)


def _photographed(shown: Pixels, rng: np.random.Generator, camera: Camera, materials: Materials) -> Transformed:
    """Seen from a hand-held camera: a little from the side, under uneven light, soft, noisy and coloured."""
    import cv2

    size = width, height = size_of(shown)
    inner = corners(size) * (1 - 2 * camera.margin) + np.array(size) * camera.margin
    seen = inner + rng.uniform(-camera.tilt, camera.tilt, (4, 2)) * size / 2
    matrix = between(corners(size), seen)
    moved = place(shown, matrix, size)
    pixels = moved.pixels
    if camera.ground is not None:
        inside = place(np.full_like(shown, 255), matrix, size).pixels[..., :1] / np.float32(255)
        pixels = (pixels * inside + materials.picture(camera.ground, size) * (1 - inside)).astype(np.uint8)
    soft = cv2.GaussianBlur(pixels, (0, 0), camera.softness).astype(np.float32)
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    at = rng.uniform(-0.9, 0.9, 2).astype(np.float32)
    spot = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / np.float32(rng.uniform(0.05, 0.4)))[..., None]
    slope = rng.uniform(-0.2, 0.2, 2).astype(np.float32)
    light = (1 + slope[0] * x + slope[1] * y)[..., None]
    tint = np.array([1 + camera.warmth, 1, 1 - camera.warmth], np.float32)
    noise = rng.standard_normal((height, width, 3), np.float32) * np.float32(camera.grain)
    photograph = soft * light * tint + spot * np.float32(255 * camera.glare) + noise
    return Transformed(np.clip(photograph, 0, 255).astype(np.uint8), moved.geometry)
