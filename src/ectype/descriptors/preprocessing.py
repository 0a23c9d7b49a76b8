"""From pixels of any size to the square a model looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray


def square(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Stretch a picture (h, w, 3) to (size, size, 3), whatever its proportions; nothing is cut away."""
    import cv2

    height, width = pixels.shape[:2]
    if height > size or width > size:  # averaging areas keeps fine patterns from turning into false ones
        smaller = (min(width, size), min(height, size))
        pixels = np.asarray(cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA), np.uint8)
    if pixels.shape[:2] != (size, size):
        pixels = np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.ascontiguousarray(pixels)


def centre(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Cut the largest centred square out of a picture (h, w, 3) and scale it to (size, size, 3)."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return square(pixels[top : top + side, left : left + side], size)


RESIZE_RULES: Mapping[str, Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]] = {"square": square, "centre": centre}
"""The rules a model card can name."""
