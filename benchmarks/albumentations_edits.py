"""Edits that Ectype does not have, of albumentations 2.0.8 and written here, for unseen_edits.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Edit = Callable[[Pixels, np.random.Generator, Sequence[Pixels]], Pixels]

ALBUMENTATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "grid_shuffle": ("RandomGridShuffle", {"grid": (3, 3)}),
    "grid_dropout": ("GridDropout", {"ratio": 0.5, "random_offset": True}),
    "coarse_dropout": (
        "CoarseDropout",
        {"num_holes_range": (8, 14), "hole_height_range": (0.1, 0.2), "hole_width_range": (0.1, 0.2)},
    ),
    "lines_masked": (
        "XYMasking",
        {"num_masks_x": (3, 5), "num_masks_y": (3, 5), "mask_x_length": (20, 50), "mask_y_length": (20, 50)},
    ),
    "sun_flare": ("RandomSunFlare", {"src_radius": 200}),
    "rain": ("RandomRain", {"rain_type": "heavy"}),
    "snow": ("RandomSnow", {"snow_point_range": (0.3, 0.5)}),
    "fog": ("RandomFog", {"fog_coef_range": (0.6, 0.9), "alpha_coef": 0.2}),
    "shadow": ("RandomShadow", {"num_shadows_limit": (2, 4), "shadow_intensity_range": (0.5, 0.8)}),
    "spatter": ("Spatter", {"mode": "mud"}),
    "superpixels": ("Superpixels", {"p_replace": (0.6, 1), "n_segments": (60, 120)}),
    "sepia": ("ToSepia", {}),
    "emboss": ("Emboss", {"alpha": (0.8, 1), "strength": (0.8, 1.5)}),
    "defocus": ("Defocus", {"radius": (7, 12)}),
    "zoom_blur": ("ZoomBlur", {"max_factor": (1.15, 1.3), "step_factor": (0.02, 0.03)}),
    "dilation": ("Morphological", {"scale": (7, 11), "operation": "dilation"}),
    "erosion": ("Morphological", {"scale": (7, 11), "operation": "erosion"}),
    "thin_plate": ("ThinPlateSpline", {"scale_range": (0.3, 0.45)}),
    "piecewise": ("PiecewiseAffine", {"scale": (0.06, 0.09)}),
    "grid_distortion": ("GridDistortion", {"num_steps": 8, "distort_limit": (-0.6, 0.6)}),
    "clahe": ("CLAHE", {"clip_limit": (8, 12)}),
    "iso_noise": ("ISONoise", {"color_shift": (0.1, 0.2), "intensity": (0.8, 1)}),
    "downscale": ("Downscale", {"scale_range": (0.08, 0.15)}),
    "ringing": ("RingingOvershoot", {"blur_limit": (13, 15), "cutoff": (0.3, 0.5)}),
    "plasma_shadow": ("PlasmaShadow", {"shadow_intensity_range": (0.7, 0.95)}),
    "stain": ("HEStain", {}),
    "colour_shift": (
        "RGBShift",
        {"r_shift_limit": (-80, 80), "g_shift_limit": (-80, 80), "b_shift_limit": (-80, 80)},
    ),
    "tone_curve": ("RandomToneCurve", {"scale": 0.6, "per_channel": True}),
    "colour_temperature": ("PlanckianJitter", {}),
    "channel_dropout": ("ChannelDropout", {"channel_drop_range": (1, 2)}),
}


def fitting(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
    """One of the other pictures, of the size of this one."""
    other = others[int(rng.integers(len(others)))]
    return np.asarray(cv2.resize(other, pixels.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)


def spectrum_of_another(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
    """Low frequencies as strong as another picture's (Yang & Soatto, FDA, CVPR 2020)."""
    other = fitting(pixels, rng, others)
    ours, theirs = (np.fft.fftshift(np.fft.fft2(one, axes=(0, 1)), axes=(0, 1)) for one in (pixels, other))
    strength, reach = np.abs(ours), max(2, int(0.03 * min(pixels.shape[:2])))
    low = tuple(slice(side // 2 - reach, side // 2 + reach) for side in pixels.shape[:2])
    strength[low] = np.abs(theirs)[low]
    spectrum = np.fft.ifftshift(strength * np.exp(1j * np.angle(ours)), axes=(0, 1))
    return np.fft.ifft2(spectrum, axes=(0, 1)).real.clip(0, 255).astype(np.uint8)


def colours_of_another(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
    """Each channel with another picture's histogram."""
    other, result = fitting(pixels, rng, others), np.empty_like(pixels)
    for channel in range(3):
        ours, theirs = (np.cumsum(np.bincount(one[..., channel].ravel(), minlength=256)) for one in (pixels, other))
        result[..., channel] = np.interp(ours, theirs, np.arange(256)).astype(np.uint8)[pixels[..., channel]]
    return result


def split_screen(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
    """One half shows half of the picture, the other something else."""
    result, half = fitting(pixels, rng, others), pixels.shape[1] // 2
    left = int(rng.integers(half + 1))
    result[:, :half] = pixels[:, left : left + half]
    return result


def blinds(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
    """Another picture in every second strip."""
    strips = np.arange(len(pixels)) * int(rng.integers(5, 10)) * 2 // len(pixels)
    return np.asarray(np.where((strips % 2 == 0)[:, None, None], fitting(pixels, rng, others), pixels))


def disc(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
    """A round part on a grey ground."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    centre = int(width * rng.uniform(0.4, 0.6)), int(height * rng.uniform(0.4, 0.6))
    cv2.circle(mask, centre, int(min(height, width) * rng.uniform(0.32, 0.45)), 1, -1)
    return np.asarray(np.where(mask[..., None] > 0, pixels, np.uint8(rng.integers(256))))


def stretched_unevenly(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
    """Every column as wide as chance will have it."""
    height, width = pixels.shape[:2]
    reached = np.cumsum(np.abs(rng.normal(1, 0.9, width)) + 0.05)
    columns = np.interp(np.linspace(0, reached[-1], width), reached, np.arange(width)).astype(np.float32)
    rows = np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(pixels, np.tile(columns, (height, 1)), np.tile(rows, (1, width)), cv2.INTER_LINEAR))


def stylised(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
    """OpenCV's stylisation."""
    return np.asarray(cv2.stylization(pixels, sigma_s=60, sigma_r=0.45))


def edges_kept(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
    """OpenCV's edge-preserving filter."""
    return np.asarray(cv2.edgePreservingFilter(pixels, flags=1, sigma_s=60, sigma_r=0.6))


def dots(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
    """Discs of one colour each on white, the darker the larger."""
    side = int(rng.choice([6, 8]))
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    colours = cv2.resize(pixels[: rows * side, : columns * side], (columns, rows), interpolation=cv2.INTER_AREA)
    result = np.full((rows * side, columns * side, 3), 255, np.uint8)
    for row, column in np.ndindex(rows, columns):
        colour = colours[row, column].tolist()
        centre = column * side + side // 2, row * side + side // 2
        cv2.circle(result, centre, max(1, int(side * 0.65 * (1 - sum(colour) / 900))), colour, -1)
    return result


def kaleidoscope(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
    """A quarter of the picture, mirrored to both sides."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    quarter = pixels[:height, :width] if rng.random() < 0.5 else pixels[-height:, -width:]
    half = np.concatenate([quarter, quarter[:, ::-1]], axis=1)
    return np.concatenate([half, half[::-1]])


OWN: dict[str, Edit] = {
    edit.__name__: edit
    for edit in (
        spectrum_of_another,
        colours_of_another,
        split_screen,
        blinds,
        disc,
        stretched_unevenly,
        stylised,
        edges_kept,
        dots,
        kaleidoscope,
    )
}
KINDS = (*ALBUMENTATIONS, *OWN)


def edit_with(name: str) -> Edit:
    """One kind; the library is asked for by those that are its own."""
    if name in OWN:
        return OWN[name]
    import albumentations

    kind, settings = ALBUMENTATIONS[name]
    transform = albumentations.Compose([getattr(albumentations, kind)(p=1, **settings)])

    def edit(pixels: Pixels, rng: np.random.Generator, others: Sequence[Pixels]) -> Pixels:
        transform.set_random_seed(int(rng.integers(2**31)))
        return np.asarray(transform(image=pixels)["image"], np.uint8)

    return edit
