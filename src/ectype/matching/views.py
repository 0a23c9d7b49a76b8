"""The views of a query that are described beside the whole: parts of it, turned, mirrored.

A descriptor compares whole pictures. A copy that fills a part of the query, under a caption or inside a screenshot, is
nearer to its reference in the view that cuts the rest away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VIEWS = (
    "whole",
    "upper left",
    "upper right",
    "lower left",
    "lower right",
    "centre",
    "without border",
    "mirrored",
    "turned left",
    "upside down",
    "turned right",
)
"""What `views_of` gives, in this order; the whole comes first."""

_CORNER, _BORDER = 0.4, 0.1  # of a side, cut away
_LEAST_SIDE = 8  # pixels; a smaller part is left whole


def views_of(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The whole picture, four corners of 0.6 of its sides, the centre at 0.6 and 0.8, the mirror image, and turns.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)

    Returns
    -------
    list of ndarray of uint8
        In the order of `VIEWS`.
    """
    parts = [
        (0, 0, _CORNER),
        (_CORNER, 0, _CORNER),
        (0, _CORNER, _CORNER),
        (_CORNER, _CORNER, _CORNER),
        (_CORNER / 2, _CORNER / 2, _CORNER),
        (_BORDER, _BORDER, 2 * _BORDER),
    ]
    cut = [_part(pixels, left, top, lost) for left, top, lost in parts]
    turned = [pixels[:, ::-1], np.rot90(pixels), np.rot90(pixels, 2), np.rot90(pixels, 3)]
    return [pixels, *cut, *(np.ascontiguousarray(view) for view in turned)]


def _part(pixels: NDArray[np.uint8], left: float, top: float, lost: float) -> NDArray[np.uint8]:
    """What is left of the sides, as shares, without `lost`."""
    height, width = pixels.shape[:2]
    kept_height, kept_width = (max(_LEAST_SIDE, round(side * (1 - lost))) for side in (height, width))
    y, x = round(height * top), round(width * left)
    return np.ascontiguousarray(pixels[y : y + kept_height, x : x + kept_width])
