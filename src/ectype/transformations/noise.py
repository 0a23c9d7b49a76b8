"""Edits that lose information at random or by coding: noise, moved pixels, and files saved badly."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from ectype.transformations.chance import log_uniform, one_of, seed, uniform
from ectype.transformations.geometry import Size
from ectype.transformations.kinds import Family, Pixels, size_of

NOISE = Family("noise")


@NOISE.kind(lambda rng, size: {"seed": seed(rng), "deviation": log_uniform(rng, 8, 64), "grey": bool(rng.integers(2))})
def random_noise(pixels: Pixels, seed: int, deviation: float, grey: bool) -> Pixels:
    """Gaussian noise, of a standard deviation in levels."""
    height, width = pixels.shape[:2]
    shape = (height, width, 1 if grey else 3)
    noise = np.random.default_rng(seed).standard_normal(shape, np.float32) * np.float32(deviation)
    return np.asarray(np.clip(pixels + noise, 0, 255), np.uint8)


@NOISE.kind(lambda rng, size: {"seed": seed(rng), "share": uniform(rng, 0.01, 0.2)})
def salt_and_pepper(pixels: Pixels, seed: int, share: float) -> Pixels:
    """A share of the pixels turned black or white."""
    chance = np.random.default_rng(seed).random(pixels.shape[:2], np.float32)
    result = pixels.copy()
    result[chance < share / 2] = 0
    result[chance > 1 - share / 2] = 255
    return result


@NOISE.kind(lambda rng, size: {"seed": seed(rng), "deviation": uniform(rng, 0.15, 0.5)})
def speckle(pixels: Pixels, seed: int, deviation: float) -> Pixels:
    """Noise in proportion to the light, in grains larger than a pixel."""
    import cv2

    width, height = size_of(pixels)
    few = max(1, width // 2), max(1, height // 2)
    noise = np.random.default_rng(seed).standard_normal(few[::-1], np.float32) * np.float32(deviation)
    grain = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(pixels * (1 + grain[..., None]), 0, 255), np.uint8)


@NOISE.kind(lambda rng, size: {"seed": seed(rng), "share": uniform(rng, 0.05, 0.35)})
def shuffle_pixels(pixels: Pixels, seed: int, share: float) -> Pixels:
    """A share of the pixels exchange their places."""
    rng = np.random.default_rng(seed)
    flat = pixels.reshape(-1, 3).copy()
    chosen = np.flatnonzero(rng.random(len(flat), np.float32) < share)
    flat[chosen] = flat[rng.permutation(chosen)]
    return flat.reshape(pixels.shape)


@NOISE.kind(lambda rng, size: {"seed": seed(rng), "reach": int(rng.integers(2, 7))})
def frosted_glass(pixels: Pixels, seed: int, reach: int) -> Pixels:
    """Each pixel taken from somewhere near."""
    height, width = pixels.shape[:2]
    moves = np.random.default_rng(seed).integers(-reach, reach + 1, (2, height, width))
    rows = np.clip(np.arange(height)[:, None] + moves[0], 0, height - 1)
    columns = np.clip(np.arange(width) + moves[1], 0, width - 1)
    return np.asarray(pixels[rows, columns], np.uint8)


@NOISE.kind(lambda rng, size: {"seed": seed(rng), "bands": int(rng.integers(4, 16)), "reach": uniform(rng, 0.03, 0.15)})
def torn_bands(pixels: Pixels, seed: int, bands: int, reach: float) -> Pixels:
    """Horizontal bands shifted sideways, as in a broken transmission."""
    rng = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    result = pixels.copy()
    for _ in range(bands):
        top, deep = int(rng.integers(height)), int(rng.integers(1, max(2, height // 8)))
        result[top : top + deep] = np.roll(result[top : top + deep], int(rng.uniform(-reach, reach) * width), axis=1)
    return result


@NOISE.kind(lambda rng, size: {"quality": int(rng.integers(3, 35)), "times": int(rng.integers(1, 3))})
def encoding_quality(pixels: Pixels, quality: int, times: int) -> Pixels:
    """Saved as a bad JPEG, once or again."""
    for _ in range(times):
        pixels = coded(pixels, "JPEG", quality)
    return pixels


@NOISE.kind(lambda rng, size: {"quality": int(rng.integers(0, 25))})
def webp_quality(pixels: Pixels, quality: int) -> Pixels:
    """Saved as a bad WebP."""
    return coded(pixels, "WEBP", quality)


def coded(pixels: Pixels, format: str, quality: int) -> Pixels:
    """RGB pixels (h, w, 3) after they were saved in one of Pillow's formats, and read again."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, quality=quality)
    return np.array(Image.open(buffer).convert("RGB"))


def _sample_palette(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {"colours": one_of(rng, [4, 8, 16, 32, 64]), "dither": bool(rng.integers(2))}


@NOISE.kind(_sample_palette)
def palette(pixels: Pixels, colours: int, dither: bool) -> Pixels:
    """Few colours of its own, as in a GIF."""
    way = Image.Dither.FLOYDSTEINBERG if dither else Image.Dither.NONE
    coarse = Image.fromarray(pixels).quantize(colours, Image.Quantize.FASTOCTREE)
    return np.array(Image.fromarray(pixels).quantize(palette=coarse, dither=way).convert("RGB"))
