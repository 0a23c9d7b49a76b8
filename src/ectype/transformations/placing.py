"""Moving pixels by a mapping: the one place where geometry and pixels must agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ectype.transformations.geometry import Geometry, Homography, Size, Warp, shift
from ectype.transformations.kinds import Pixels, Transformed, size_of


def place(
    pixels: Pixels, matrix: NDArray[np.float64], result_size: Size, fill: Sequence[int] | None = (0, 0, 0)
) -> Transformed:
    """Move a picture by a homography from its coordinates to the result's.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
    matrix : ndarray, shape (3, 3)
    result_size : (int, int)
    fill : three ints, or None
        The colour of places that show nothing of the picture; None mirrors the picture there.
    """
    import cv2

    centred = shift(-0.5, -0.5) @ matrix @ shift(0.5, 0.5)  # OpenCV's pixel centres are whole numbers
    border = cv2.BORDER_REFLECT_101 if fill is None else cv2.BORDER_CONSTANT
    moved = cv2.warpPerspective(
        pixels, centred, result_size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=tuple(fill or (0, 0, 0))
    )
    return Transformed(np.asarray(moved), Geometry(size_of(pixels), result_size, (Homography(matrix),)))


def shrink_before(pixels: Pixels, factor: float) -> Pixels:
    """Average a picture down before it is placed smaller, so that fine patterns don't turn into false ones."""
    import cv2

    if factor >= 0.7:
        return pixels
    width, height = size_of(pixels)
    smaller = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA), np.uint8)


def bend(pixels: Pixels, origins: NDArray[np.float64]) -> Transformed:
    """Warp a picture, given where each node of a grid (rows, columns, 2) comes from; edges are mirrored."""
    import cv2

    width, height = size_of(pixels)
    rows, columns = origins.shape[:2]
    x = ((np.arange(width) + 0.5) / width * (columns - 1)).astype(np.float32)
    y = ((np.arange(height) + 0.5) / height * (rows - 1)).astype(np.float32)
    grid_x, grid_y = np.meshgrid(x, y)
    sources = cv2.remap(origins.astype(np.float32), grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    sources_x, sources_y = cv2.split(np.asarray(sources) - np.float32(0.5))
    moved = cv2.remap(pixels, sources_x, sources_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    size = (width, height)
    return Transformed(np.asarray(moved), Geometry(size, size, (Warp(size, origins),)))


def grid(size: Size, nodes: int = 33) -> NDArray[np.float64]:
    """The nodes of an even grid over a picture, from corner to corner: (nodes, nodes, 2)."""
    x, y = np.meshgrid(np.linspace(0, size[0], nodes), np.linspace(0, size[1], nodes))
    return np.stack([x, y], axis=-1)
