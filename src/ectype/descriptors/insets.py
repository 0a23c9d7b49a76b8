"""The picture inside another: pasted onto it, shown in a corner of it, in a frame that is not plain.

A model may say of each place of a picture how likely it belongs to such an inset. What is cut out by that weighs in
the descriptor as much as it covers and somewhat more, so that the picture around it is still found, and less where the
model is not sure. What lies around it may be what was copied, and is seen better without it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

INSET_RULE = 2
"""Part of a model's fingerprint: one more with each change of what is cut out, or of how much it weighs."""

_LIKELY = 0.5  # places from this on are of the inset
_DOUBTFUL, _SURE = 0.5, 0.65  # certainties by which an inset counts nothing, and in full
_MORE_THAN_AREA, _MOST_SHARE = 0.2, 0.7  # of the descriptor: the one is added to the area, the other bounds both
_AROUND = 1 / 3  # at most, of what an inset leaves of the descriptor
_LEAST_SHARE = 0.1  # of the descriptor; less would hardly change it, and cost as much
_LEAST_AREA, _MOST_AREA = 0.03, 0.9  # of the picture
_LEAST_PIXELS = 24  # a side; fewer show nothing


class Inset(NamedTuple):
    """A picture inside another.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        A view into the whole.
    share : float
        How much of the descriptor it is, above 0 and at most 1.
    around : ndarray of uint8, shape of the whole, or None
        The whole with the mean colour of its other pixels in the place of the inset. None where nothing is to be said
        of it: around a picture in a plain frame there is only the frame.
    around_share : float
        How much of what the inset leaves of the descriptor is said of `around`, and not of the whole.
    """

    pixels: NDArray[np.uint8]
    share: float
    around: NDArray[np.uint8] | None = None
    around_share: float = 0.0


def inset_of(pixels: NDArray[np.uint8], likelihoods: NDArray[np.float32]) -> Inset | None:
    """Cut the largest inset out of a picture.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
    likelihoods : ndarray of float32, shape (k, k)
        For each place, over the whole picture, how likely it belongs to an inset: 0 to 1.

    Returns
    -------
    Inset or None
        With a share of 0.1 to 0.7. None where nothing rectangular is likely enough, or where it is too small, or fills
        the picture.
    """
    import cv2

    side = len(likelihoods)
    likely = (likelihoods >= _LIKELY).astype(np.uint8)
    if likely.sum() < _LEAST_AREA * side * side:  # first, as most pictures have none
        return None
    _, numbers, parts, _ = cv2.connectedComponentsWithStats(likely, connectivity=4)
    part = 1 + int(parts[1:, cv2.CC_STAT_AREA].argmax())
    left, top, across, down, area = parts[part].tolist()
    within = numbers == part
    certainty = float(likelihoods[within].mean()) * area / (across * down)
    sure = min(1.0, (certainty - _DOUBTFUL) / (_SURE - _DOUBTFUL))
    if sure <= 0:  # most others
        return None
    inside = np.where(cv2.dilate(within.astype(np.uint8), np.ones((3, 3), np.uint8)), likelihoods, 0)
    x0, x1 = _ends(np.median(inside[top : top + down], axis=0), left, left + across)
    y0, y1 = _ends(np.median(inside[:, left : left + across], axis=1), top, top + down)
    covered = (x1 - x0) * (y1 - y0) / side**2
    height, width = pixels.shape[:2]
    rows = slice(round(y0 * height / side), round(y1 * height / side))
    columns = slice(round(x0 * width / side), round(x1 * width / side))
    cut, share = pixels[rows, columns], sure * min(_MOST_SHARE, _MORE_THAN_AREA + covered)
    if share < _LEAST_SHARE or not _LEAST_AREA <= covered <= _MOST_AREA or min(cut.shape[:2]) < _LEAST_PIXELS:
        return None
    around = pixels.copy()
    around[rows, columns] = _mean_around(pixels, cut)
    return Inset(cut, share, around, sure * _AROUND)


def _mean_around(pixels: NDArray[np.uint8], cut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mean colour of what is not cut out."""
    whole, less = (part.sum(axis=(0, 1), dtype=np.int64) for part in (pixels, cut))
    return np.asarray(np.rint((whole - less) / ((pixels.size - cut.size) / 3)), np.uint8)


def _ends(likelihoods: NDArray[np.float32], first: int, end: int) -> tuple[float, float]:
    """Where an inset begins and ends along one axis, in places: one that is half likely is half covered."""
    before = likelihoods[first - 1] if first else 0.0
    behind = likelihoods[end] if end < len(likelihoods) else 0.0
    return first + 1 - float(likelihoods[first] + before), end - 1 + float(likelihoods[end - 1] + behind)
