"""Two pictures' local features, compared: is one a copy of a part of the other, and which part?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ectype.evidence import Points, Verification
from ectype.verification.agreement import Thumbnail, agreement, thumbnail
from ectype.verification.features import LocalFeatures, SiftExtractor
from ectype.verification.mapping import correspond, estimate, root


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A picture made ready to be verified.

    Attributes
    ----------
    features : LocalFeatures
    thumbnail : Thumbnail
    """

    features: LocalFeatures
    thumbnail: Thumbnail


Role = Literal["query", "reference"]

_FEATURES: dict[Role, tuple[int, int]] = {"query": (512, 600), "reference": (400, 400)}
"""Pixels of the longer side, and features. A query may hold its copy small, and is looked at once; references are many."""


def prepare(pixels: NDArray[np.uint8], role: Role) -> Prepared:
    """Make a picture ready to be verified.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB as displayed.
    role : {"query", "reference"}
    """
    return Prepared(_extractor(role).extract(pixels), thumbnail(pixels))


@cache
def _extractor(role: Role) -> SiftExtractor:
    return SiftExtractor(*_FEATURES[role])


def verify(query: Prepared, reference: Prepared) -> Verification | None:
    """Look for a part of the query that shows a part of the reference, mirrored or not.

    Parameters
    ----------
    query, reference : Prepared

    Returns
    -------
    Verification or None
        None where no mapping between the two has enough places.
    """
    there = root(reference.features.descriptors)
    best: Verification | None = None
    for mirrored in (False, True):
        features = query.features.mirrored() if mirrored else query.features
        pairs = correspond(root(features.descriptors), there)
        mapping = estimate(features, reference.features, pairs)
        if mapping is None or (best is not None and len(mapping.agreeing) <= best.places):
            continue
        matrix = mapping.matrix @ _mirror(query.features.size[0]) if mirrored else mapping.matrix
        regions = _regions(matrix, query.features.size, reference.features.size)
        if regions is None:
            continue
        best = Verification(
            query.features.size,
            reference.features.size,
            matrix,
            query.features.places[pairs.query_rows[mapping.agreeing], :2].astype(np.float64),
            reference.features.places[pairs.reference_rows[mapping.agreeing], :2].astype(np.float64),
            *regions,
            agreement(query.thumbnail, reference.thumbnail, matrix),
        )
    return best


def _mirror(width: int) -> NDArray[np.float64]:
    return np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def _regions(
    matrix: NDArray[np.float64], query_size: tuple[int, int], reference_size: tuple[int, int]
) -> tuple[Points, Points] | None:
    """The part of the query that the whole reference would fill, as far as it is inside, and where it comes from."""
    import cv2

    back = np.linalg.inv(matrix)
    outline = _through(back, _corners(reference_size)).astype(np.float32)
    area, polygon = cv2.intersectConvexConvex(outline, _corners(query_size).astype(np.float32))
    if area < 1 or polygon is None or len(polygon) < 3:
        return None
    region = polygon.reshape(-1, 2).astype(np.float64)
    return region, np.clip(_through(matrix, region), 0, reference_size)


def _corners(size: tuple[int, int]) -> Points:
    width, height = size
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)


def _through(matrix: NDArray[np.float64], points: Points) -> Points:
    return points @ matrix[:2, :2].T + matrix[:2, 2]
