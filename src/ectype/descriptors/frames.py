"""The picture inside a plain frame: in a screenshot, under a caption, between bars, on padding.

A descriptor says what a whole picture shows, and most of such a one is frame. People frame pictures in ways without
number, but nearly always in one colour, and what they frame is a rectangle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAME_RULE = 2
"""Part of a model's fingerprint: one more with each change of what is cut out."""

_SIDE = 96  # pixels, of the longer side of the thumbnail that is looked at
_LEVELS = 10  # of 255, by which a pixel of the frame may differ from its colour
_OUTLINE = 0.55  # of the pixels along its edge must be frame: more than half, so that their median is its colour
_THIN = 0.045  # of the shorter side: what is thinner, such as letters, is frame, too
_FILLED = 0.85  # of the rectangle around what is left must be no frame
_LEAST_AREA = 0.03  # of the picture; less is an icon
_MOST_SIDE = 0.96  # of both sides; more has no frame to speak of
_LEAST_PIXELS = 24  # a side; fewer show nothing


def framed_picture(pixels: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Cut the largest picture out of the plain frame around it.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)

    Returns
    -------
    ndarray of uint8, shape (h', w', 3), or None
        A view into `pixels`; None where no frame is seen, or nothing rectangular in it.
    """
    import cv2

    height, width = pixels.shape[:2]
    scale = _SIDE / max(height, width)
    columns, rows = (max(8, round(side * scale)) for side in (width, height))
    every = -(-max(height, width) // _SIDE)
    edges = (pixels[0, ::every], pixels[-1, ::every], pixels[::every, 0], pixels[::every, -1])
    outline = np.concatenate(edges).astype(np.int16)  # first, as most pictures have no frame
    colour = np.sort(outline, axis=0)[len(outline) // 2]  # the median of each channel
    if (np.abs(outline - colour) <= _LEVELS).all(axis=1).mean() < _OUTLINE:
        return None
    small = np.asarray(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA), np.int16)
    showing = (np.abs(small - colour).max(axis=2) > _LEVELS).astype(np.uint8)
    left, top, across, down, area = _largest_part(showing, max(2, round(_THIN * min(columns, rows))))
    if area < max(_FILLED * across * down, _LEAST_AREA * columns * rows):
        return None
    if across >= _MOST_SIDE * columns and down >= _MOST_SIDE * rows:
        return None
    x = slice(left * width // columns, -(-(left + across) * width // columns))
    y = slice(top * height // rows, -(-(top + down) * height // rows))
    found = pixels[y, x]
    return found if min(found.shape[:2]) >= _LEAST_PIXELS else None


def _largest_part(showing: NDArray[np.uint8], thin: int) -> tuple[int, int, int, int, int]:
    """Left, top, width, height and area of the largest connected part that is not thin; all 0 without any."""
    import cv2

    kept = cv2.morphologyEx(showing, cv2.MORPH_OPEN, np.ones((thin, thin), np.uint8))
    _, _, parts, _ = cv2.connectedComponentsWithStats(kept, connectivity=4)
    left, top, across, down, area = max(parts[1:].tolist(), key=lambda part: part[4], default=(0, 0, 0, 0, 0))
    return left, top, across, down, area
