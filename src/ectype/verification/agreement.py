"""Whether two pictures agree pixel by pixel, once one is laid over the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 96
"""Pixels of a thumbnail's longer side."""

_NEIGHBOURHOOD = 9  # pixels a side
_LEAST_SHARE = 0.01  # of the thumbnail that must be covered
_AGREES = 0.5  # correlation
_FLAT = 4.0  # brightness levels; a neighbourhood with less variation says nothing


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """A picture's brightness, small.

    Attributes
    ----------
    size : (int, int)
        Width and height of the picture.
    pixels : ndarray of uint8, shape (h, w)
    """

    size: tuple[int, int]
    pixels: NDArray[np.uint8]


def thumbnail(pixels: NDArray[np.uint8], size: tuple[int, int]) -> Thumbnail:
    """Shrink a picture (h, w, 3), of this width and height as displayed, to what `agreement` compares."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(width, height))
    shrunk = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), shrunk, interpolation=cv2.INTER_AREA)
    return Thumbnail(size, np.asarray(small, np.uint8))


def agreement(query: Thumbnail, reference: Thumbnail, matrix: NDArray[np.float64]) -> float:
    """Share of small neighbourhoods that agree in brightness, where the mapped query covers the reference.

    A share tells a copy with a caption from two pictures that have a frame in common better than a mean does. In a
    negative, all correlations are turned round.

    Parameters
    ----------
    query, reference : Thumbnail
    matrix : ndarray of float64, shape (3, 3)
        Affine; takes query pixels to reference pixels.

    Returns
    -------
    float
        From 0 to 1; 0 where too little of the reference is covered.
    """
    import cv2

    to_small = np.linalg.inv(_shrinking(query))
    small = (_shrinking(reference) @ matrix @ to_small)[:2]
    size = reference.pixels.shape[::-1]
    centred = small.copy()
    centred[:, 2] += small[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV counts from the centre of the first pixel
    laid = cv2.warpAffine(query.pixels, centred, size, flags=cv2.INTER_LINEAR).astype(np.float32)
    covered = cv2.warpAffine(np.ones_like(query.pixels), centred, size, flags=cv2.INTER_NEAREST).astype(np.float32)
    there = reference.pixels.astype(np.float32)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        window = (_NEIGHBOURHOOD, _NEIGHBOURHOOD)
        return np.asarray(cv2.boxFilter(values, -1, window, borderType=cv2.BORDER_REFLECT), np.float32)

    inside = mean(covered) > 0.99
    here_mean, there_mean = mean(laid), mean(there)
    here_variance = mean(laid * laid) - here_mean**2
    there_variance = mean(there * there) - there_mean**2
    telling = inside & (there_variance > _FLAT**2)
    if telling.mean() < _LEAST_SHARE:
        return 0.0
    covariance = mean(laid * there) - here_mean * there_mean
    correlation = (covariance / np.sqrt(np.maximum(here_variance * there_variance, _FLAT**4)))[telling]
    sign = 1 if np.clip(correlation, -1, 1).sum() >= 0 else -1
    return float((sign * correlation > _AGREES).mean())


def _shrinking(picture: Thumbnail) -> NDArray[np.float64]:
    height, width = picture.pixels.shape
    return np.diag([width / picture.size[0], height / picture.size[1], 1.0])
