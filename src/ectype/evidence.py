"""Why two images are taken for copies, or not: what was measured of a pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ectype.errors import InvalidDataError

Decision = Literal["copy", "review", "different"]
"""What to do with a pair: take it for a copy, have a person look at it, or leave it."""

Points = NDArray[np.float64]
"""(n, 2): x to the right and y down, in pixels of the picture as displayed, whose upper left corner is (0, 0)."""


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """Places of two pictures that look alike and agree on one mapping between the two.

    Attributes
    ----------
    query_size, reference_size : (int, int)
        Width and height of the pictures as displayed, in pixels.
    matrix : ndarray of float64, shape (3, 3)
        Takes homogeneous query coordinates to the reference's.
    query_points, reference_points : ndarray of float64, shape (n, 2)
        The places that agree, row by row; at least three.
    query_region, reference_region : ndarray of float64, shape (k, 2)
        Convex polygons: the part of the query that was taken from the reference, and what it shows of the reference.
    agreement : float
        How much of the two pictures is alike where the mapping lays one over the other, from 0 to 1: the share of small
        neighbourhoods whose brightness correlates, in a copy or in a negative.

    Raises
    ------
    InvalidDataError
        The arrays do not fit each other.
    """

    query_size: tuple[int, int]
    reference_size: tuple[int, int]
    matrix: NDArray[np.float64]
    query_points: Points
    reference_points: Points
    query_region: Points
    reference_region: Points
    agreement: float

    def __post_init__(self) -> None:
        if self.matrix.shape != (3, 3) or not np.isfinite(self.matrix).all():
            raise InvalidDataError(f"a mapping is a finite matrix (3, 3), not {self.matrix.shape}")
        if self.query_points.shape != self.reference_points.shape or len(self.query_points) < 3:
            raise InvalidDataError(
                f"places of a verification come in pairs, three at least: {self.query_points.shape} and "
                f"{self.reference_points.shape}"
            )
        for name in ("query_region", "reference_region"):
            shape = getattr(self, name).shape
            if len(shape) != 2 or shape[0] < 3 or shape[1] != 2:
                raise InvalidDataError(f"{name} must be a polygon (k, 2) of three corners or more, not {shape}")

    @property
    def places(self) -> int:
        """How many places agree."""
        return len(self.query_points)

    @property
    def spread(self) -> float:
        """Share of the query's region that the agreeing places span.

        A face or a logo that two pictures share spans little.
        """
        return min(1.0, _hull_area(self.query_points) / max(_hull_area(self.query_region), 1.0))

    @property
    def residual(self) -> float:
        """Median distance between the mapped and the found places, in parts of the reference's longer side."""
        mapped = self.query_points @ self.matrix[:2, :2].T + self.matrix[:2, 2]
        distances = np.hypot(*(mapped - self.reference_points).T)
        return float(np.median(distances) / max(self.reference_size))

    @property
    def mirrored(self) -> bool:
        """Whether the query shows the reference's mirror image."""
        return bool(np.linalg.det(self.matrix[:2, :2]) < 0)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a pair's score was computed from.

    Attributes
    ----------
    similarity : float
        Inner product of the whole images' descriptors.
    view_similarity : float
        The highest between any view of the query (the whole, crops, turned and mirrored) and the reference.
    background : float
        Mean similarity of the query to its nearest pictures of a background set, which has no copies of it: what
        unrelated pictures reach with this query.
    verification : Verification or None
        None if no mapping was found, or none could be looked for.
    unverified : str or None
        Why local features could not be compared, in a sentence: the file has moved or changed, for example.
    identical : bool
        Whether the two files have the same bytes.
    """

    similarity: float
    view_similarity: float
    background: float
    verification: Verification | None = None
    unverified: str | None = None
    identical: bool = False


def _hull_area(points: Points) -> float:
    import cv2

    return float(cv2.contourArea(cv2.convexHull(points.astype(np.float32))))
