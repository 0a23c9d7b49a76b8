"""Edits of light and colour, pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ectype.transformations.chance import colour, log_uniform, one_of, seed, uniform
from ectype.transformations.geometry import Size
from ectype.transformations.kinds import Family, Pixels, rounded

TONE = Family("tone")

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def through_table(pixels: Pixels, table: NDArray[np.floating]) -> Pixels:
    """Look up each value in a table (256,) or, channel by channel, (256, 3)."""
    import cv2

    lookup = rounded(table)
    if lookup.ndim == 1:
        return np.asarray(cv2.LUT(pixels, lookup))
    return np.asarray(cv2.LUT(pixels, lookup.reshape(1, 256, 3)))


def luminance(pixels: Pixels) -> NDArray[np.uint8]:
    """Grey (h, w) as the eye weighs it."""
    import cv2

    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))


def mixed(pixels: Pixels, matrix: NDArray[np.floating]) -> Pixels:
    """Each pixel's colour times a matrix (3, 3), or (3, 4) with what is added in its last column."""
    import cv2

    return np.asarray(cv2.transform(pixels, np.asarray(matrix, np.float32)))


_LEVELS = np.arange(256, dtype=np.float32)


@TONE.kind(lambda rng, size: {"factor": log_uniform(rng, 0.35, 2.2)})
def brightness(pixels: Pixels, factor: float) -> Pixels:
    """Light multiplied."""
    return through_table(pixels, _LEVELS * factor)


@TONE.kind(lambda rng, size: {"factor": log_uniform(rng, 0.3, 2.5)})
def contrast(pixels: Pixels, factor: float) -> Pixels:
    """Differences from the mean multiplied."""
    mean = float(luminance(pixels).mean())
    return through_table(pixels, (_LEVELS - mean) * factor + mean)


@TONE.kind(lambda rng, size: {"gamma": log_uniform(rng, 0.35, 2.8)})
def gamma(pixels: Pixels, gamma: float) -> Pixels:
    """Light raised to a power."""
    return through_table(pixels, (_LEVELS / 255) ** gamma * 255)


@TONE.kind(lambda rng, size: {"factor": uniform(rng, 0, 3.5)})
def saturation(pixels: Pixels, factor: float) -> Pixels:
    """Differences from grey multiplied."""
    grey = np.tile(_LUMA, (3, 1))
    return mixed(pixels, grey + factor * (np.eye(3, dtype=np.float32) - grey))


@TONE.kind(lambda rng, size: {})
def grayscale(pixels: Pixels) -> Pixels:
    """No colour."""
    return np.repeat(luminance(pixels)[..., None], 3, axis=2)


@TONE.kind(lambda rng, size: {"degrees": uniform(rng, 15, 345)})
def hue(pixels: Pixels, degrees: float) -> Pixels:
    """Colours turned about the grey axis."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    axis = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    return mixed(pixels, cosine * np.eye(3) + sine * cross + (1 - cosine) * axis)


@TONE.kind(lambda rng, size: {"order": [int(channel) for channel in rng.permutation(3)]})
def channel_shuffle(pixels: Pixels, order: list[int]) -> Pixels:
    """Red, green and blue exchanged."""
    return np.ascontiguousarray(pixels[..., order])


def _sample_convert(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {"space": one_of(rng, ["hsv", "hls", "lab", "luv", "xyz", "yuv", "ycrcb", "bgr"])}


@TONE.kind(_sample_convert)
def convert_color(pixels: Pixels, space: str) -> Pixels:
    """The numbers of another colour space, shown as if they were red, green and blue."""
    import cv2

    codes = {
        "hsv": cv2.COLOR_RGB2HSV_FULL,
        "hls": cv2.COLOR_RGB2HLS_FULL,
        "lab": cv2.COLOR_RGB2LAB,
        "luv": cv2.COLOR_RGB2LUV,
        "xyz": cv2.COLOR_RGB2XYZ,
        "yuv": cv2.COLOR_RGB2YUV,
        "ycrcb": cv2.COLOR_RGB2YCrCb,
        "bgr": cv2.COLOR_RGB2BGR,
    }
    return np.asarray(cv2.cvtColor(pixels, codes[space]))


@TONE.kind(lambda rng, size: {"share": uniform(rng, 0.8, 1)})
def invert(pixels: Pixels, share: float) -> Pixels:
    """A negative, wholly or nearly."""
    return through_table(pixels, (255 - _LEVELS) * share + _LEVELS * (1 - share))


@TONE.kind(lambda rng, size: {"levels": int(rng.integers(2, 8))})
def posterize(pixels: Pixels, levels: int) -> Pixels:
    """Few levels a channel."""
    return through_table(pixels, np.rint(_LEVELS / 255 * (levels - 1)) * 255 / (levels - 1))


@TONE.kind(lambda rng, size: {"threshold": int(rng.integers(60, 200))})
def solarize(pixels: Pixels, threshold: int) -> Pixels:
    """What is brighter than a threshold becomes its negative."""
    return through_table(pixels, np.where(threshold > _LEVELS, _LEVELS, 255 - _LEVELS))


@TONE.kind(lambda rng, size: {"threshold": uniform(rng, 0.3, 0.7), "soft": uniform(rng, 2, 60)})
def threshold(pixels: Pixels, threshold: float, soft: float) -> Pixels:
    """Black and white, with a soft edge between: as photocopied."""
    grey = through_table(luminance(pixels), 127.5 * (1 + np.tanh((_LEVELS - 255 * threshold) / soft * 2)))
    return np.repeat(grey[..., None], 3, axis=2)


@TONE.kind(lambda rng, size: {"clip": uniform(rng, 1.5, 6), "tiles": int(rng.integers(1, 9))})
def equalize(pixels: Pixels, clip: float, tiles: int) -> Pixels:
    """Contrast evened out, tile by tile."""
    import cv2

    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(clip, (tiles, tiles)).apply(lab[..., 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))


@TONE.kind(lambda rng, size: {"dark": colour(rng), "bright": colour(rng), "share": uniform(rng, 0.5, 1)})
def duotone(pixels: Pixels, dark: list[int], bright: list[int], share: float) -> Pixels:
    """Grey painted from one colour to another."""
    ramp = np.linspace(dark, bright, 256)
    grey = np.repeat(luminance(pixels)[..., None], 3, axis=2)
    return _blend(through_table(grey, ramp), pixels, share)


@TONE.kind(lambda rng, size: {"seed": seed(rng)})
def curves(pixels: Pixels, seed: int) -> Pixels:
    """A curve of its own for each channel, through five points."""
    points = np.random.default_rng(seed).uniform(0, 255, (5, 3))
    points = 0.5 * points + 0.5 * np.linspace(0, 255, 5)[:, None]
    knots = np.linspace(0, 255, 5)
    return through_table(pixels, np.stack([np.interp(_LEVELS, knots, points[:, c]) for c in range(3)], axis=1))


@TONE.kind(lambda rng, size: {"kelvin": uniform(rng, -1, 1)})
def temperature(pixels: Pixels, kelvin: float) -> Pixels:
    """Warmer above zero, colder below."""
    gains = np.array([1 + 0.4 * kelvin, 1, 1 - 0.4 * kelvin], np.float32)
    return through_table(pixels, _LEVELS[:, None] * gains)


@TONE.kind(lambda rng, size: {"colour": colour(rng), "share": uniform(rng, 0.15, 0.65)})
def opacity(pixels: Pixels, colour: list[int], share: float) -> Pixels:
    """A share of one colour over everything."""
    return through_table(pixels, _LEVELS[:, None] * (1 - share) + np.array(colour, np.float32) * share)


@TONE.kind(
    lambda rng, size: {"strength": uniform(rng, 0.4, 1), "x": uniform(rng, 0.2, 0.8), "y": uniform(rng, 0.2, 0.8)}
)
def vignette(pixels: Pixels, strength: float, x: float, y: float) -> Pixels:
    """Dark towards the corners."""
    return _darken_corners(pixels, strength, x, y)


def _darken_corners(pixels: Pixels, strength: float, x: float, y: float) -> Pixels:
    height, width = pixels.shape[:2]
    across = (np.linspace(0, 1, width, dtype=np.float32) - np.float32(x)) ** 2
    along = (np.linspace(0, 1, height, dtype=np.float32) - np.float32(y)) ** 2
    light = 1 - np.float32(strength) * np.clip(2 * (across + along[:, None]), 0, 1)
    return rounded(pixels * light[..., None])


@TONE.kind(lambda rng, size: {"colour": colour(rng), "degrees": uniform(rng, 0, 360), "share": uniform(rng, 0.3, 0.85)})
def light_leak(pixels: Pixels, colour: list[int], degrees: float, share: float) -> Pixels:
    """Coloured light that falls in from one side."""
    height, width = pixels.shape[:2]
    angle = np.deg2rad(degrees)
    across = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(np.cos(angle))
    along = np.linspace(-1, 1, height, dtype=np.float32) * np.float32(np.sin(angle))
    weight = np.clip(across + along[:, None], 0, 1)[..., None] * np.float32(share)
    return rounded(pixels * (1 - weight) + np.array(colour, np.float32) * weight)


def _sample_ig(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "tint": colour(rng),
        "share": uniform(rng, 0.05, 0.3),
        "contrast": uniform(rng, 0.75, 1.4),
        "saturation": uniform(rng, 0.4, 1.7),
        "fade": uniform(rng, 0, 50),
        "vignette": uniform(rng, 0, 0.6),
    }


@TONE.kind(_sample_ig)
def ig_filter(
    pixels: Pixels,
    tint: list[int],
    share: float,
    contrast: float,
    saturation: float,
    fade: float,
    vignette: float,
) -> Pixels:
    """The look of a photo app: saturation, contrast, lifted blacks, a tint and darker corners."""
    grey = np.tile(_LUMA, (3, 1))
    coloured = mixed(pixels, grey + saturation * (np.eye(3, dtype=np.float32) - grey))
    table = (_LEVELS - 128) * contrast * (1 - fade / 255) + 128 + fade / 2
    toned = through_table(coloured, table[:, None] * (1 - share) + np.array(tint, np.float32) * share)
    return _darken_corners(toned, vignette, 0.5, 0.5)


def _blend(over: Pixels, under: Pixels, share: float) -> Pixels:
    import cv2

    return np.asarray(cv2.addWeighted(over, share, under, 1 - share, 0))
