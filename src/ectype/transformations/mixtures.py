"""Edits in part, and other pictures shining through: mixtures wide enough to hold what is unknown.

A picture mixed with chains of edits of itself is AugMix (Hendrycks et al., ICLR 2020), here with places and channels as
well as with one share for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ectype.transformations.chance import either, one_of, seed, uniform, whole
from ectype.transformations.filters import FILTERS
from ectype.transformations.geometry import Size
from ectype.transformations.kinds import Family, Kind, Pixels, rounded, size_of
from ectype.transformations.materials import Materials
from ectype.transformations.noise import NOISE
from ectype.transformations.tone import TONE
from ectype.transformations.wild import Field, noise_field, soft_mask

MIXTURES = Family("mixtures")
PARTS: Mapping[str, Kind] = TONE.kinds | FILTERS.kinds | NOISE.kinds
"""What `part_edit` is made of: kinds that leave places and size as they are."""

_BANDS = 6
_MODES: Mapping[str, Callable[[Field, Field], Field]] = {
    "multiply": lambda below, above: below * above,
    "screen": lambda below, above: 1 - (1 - below) * (1 - above),
    "overlay": lambda below, above: np.where(below < 0.5, 2 * below * above, 1 - 2 * (1 - below) * (1 - above)),
    "difference": lambda below, above: np.abs(below - above),
    "lightest": lambda below, above: np.maximum(below, above),
    "darkest": lambda below, above: np.minimum(below, above),
    "add": lambda below, above: below + above - above.mean(),
    "divide": lambda below, above: below / (above + np.float32(0.2)),
}
"""What is seen where one picture lies over another, from levels of 0 to 1."""


def _sample_part(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    names = [one_of(rng, list(PARTS)) for _ in range(whole(rng, 1, 3))]
    return {
        "seed": seed(rng),
        "edits": [{"kind": name, "parameters": PARTS[name].sample(rng, size)} for name in names],
        "way": one_of(rng, ["everywhere", "places", "channels"]),
        "cells": whole(rng, 1, 6),
        "share": uniform(rng, 0.5, 1),
    }


@MIXTURES.kind(_sample_part)
def part_edit(
    pixels: Pixels,
    seed: int,
    edits: Sequence[Mapping[str, Any]],
    way: str,
    cells: int,
    share: float,
    materials: Materials,
) -> Pixels:
    """A chain of edits for a `share` of what is seen: everywhere, in some places, or in brightness or colour alone."""
    rng = np.random.default_rng(seed)
    edited = pixels
    for edit in edits:
        edited = PARTS[edit["kind"]].apply(edited, edit["parameters"], materials).pixels
    if way == "channels":
        return _some_channels(rng, pixels, edited, share)
    if way == "places":
        field = noise_field(rng, size_of(pixels), cells, 0.4)
        return _between(
            pixels, edited, share * soft_mask(field, float(np.median(field)), float(rng.uniform(0.02, 0.3)))
        )
    return _between(pixels, edited, share)


def _between(before: Pixels, after: Pixels, share: float | NDArray[np.floating]) -> Pixels:
    return rounded(before.astype(np.float32) + (after.astype(np.float32) - before) * share)


def _some_channels(rng: np.random.Generator, before: Pixels, after: Pixels, share: float) -> Pixels:
    """One or two channels of the picture after, in one of three colour spaces."""
    import cv2

    into, back = one_of(
        rng, [(cv2.COLOR_RGB2YCrCb, cv2.COLOR_YCrCb2RGB), (cv2.COLOR_RGB2LAB, cv2.COLOR_LAB2RGB), (None, None)]
    )
    shares = share * np.roll([1, float(rng.integers(2)), 0], int(rng.integers(3)))
    if into is None or back is None:
        return _between(before, after, shares)
    one, other = (np.asarray(cv2.cvtColor(pixels, into), np.uint8) for pixels in (before, after))
    return np.asarray(cv2.cvtColor(_between(one, other, shares), back), np.uint8)


def _sample_bands(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {"seed": seed(rng), "other": seed(rng), "share": uniform(rng, 0.5, 1), "coloured": either(rng)}


@MIXTURES.kind(_sample_bands)
def crossed_bands(pixels: Pixels, seed: int, other: int, share: float, coloured: bool, materials: Materials) -> Pixels:
    """Coarse, middling and fine things of another picture, three in five of them, with weights of up to `share`."""
    import cv2

    rng = np.random.default_rng(seed)
    weights = share * rng.uniform(0, 1, (_BANDS + 1, 3)) * (rng.random((_BANDS + 1, 3)) < 0.6)
    if not coloured:
        weights[:] = weights[:, :1]
    own, guest = (
        np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb), np.float32)
        for picture in (pixels, materials.picture(other, size_of(pixels)))
    )
    bands, left = [], guest - own
    for _ in range(_BANDS):  # from the finest to the coarsest, and what is left
        coarser = np.asarray(cv2.pyrDown(left), np.float32)
        bands.append(left - np.asarray(cv2.pyrUp(coarser, dstsize=left.shape[1::-1]), np.float32))
        left = coarser
    mixture = own
    for band, weight in zip([*bands, left], weights.astype(np.float32), strict=True):
        mixture = mixture + np.asarray(cv2.resize(band * weight, size_of(pixels), interpolation=cv2.INTER_LINEAR))
    return np.asarray(cv2.cvtColor(rounded(mixture), cv2.COLOR_YCrCb2RGB), np.uint8)


def _sample_mode(rng: np.random.Generator, size: Size) -> dict[str, Any]:
    return {
        "seed": seed(rng),
        "other": seed(rng),
        "mode": one_of(rng, list(_MODES)),
        "share": uniform(rng, 0.5, 1),
        "cells": whole(rng, 1, 6),
    }


@MIXTURES.kind(_sample_mode)
def laid_over(
    pixels: Pixels, seed: int, other: int, mode: str, share: float, cells: int, materials: Materials
) -> Pixels:
    """Another picture laid over it as drawing programs do, in some places more than in others."""
    rng = np.random.default_rng(seed)
    below = pixels.astype(np.float32) / np.float32(255)
    above = materials.picture(other, size_of(pixels)).astype(np.float32) / np.float32(255)
    laid = np.clip(_MODES[mode](below, above), 0, 1)
    weight = share * (0.5 + 0.5 * noise_field(rng, size_of(pixels), cells, 0.4)[..., None])
    return rounded(255 * (below + (laid - below) * weight))
