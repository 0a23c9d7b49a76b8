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

Role = Literal["query", "reference"]

SIDE = 512
"""Pixels a side that pictures may be scaled down to while they are decoded."""

_FEATURES: dict[Role, tuple[int, int]] = {"query": (SIDE, 500), "reference": (400, 400)}
"""Pixels of the longer side, and features. A query may hold its copy small; references are many."""

_PLENTY = 25  # places; with so many, other variants need not be tried
_SAME_PLACE = 1e-6  # pixels


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


def prepare(pixels: NDArray[np.uint8], role: Role, size: tuple[int, int] | None = None) -> Prepared:
    """Make a picture ready to be verified.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB as displayed, at least `SIDE` pixels a side or as large as the picture is.
    role : {"query", "reference"}
    size : (int, int), optional
        Width and height of the picture, in whose pixels places are given; that of `pixels` by default.
    """
    size = size or (pixels.shape[1], pixels.shape[0])
    return Prepared(_extractor(role).extract(pixels, size), thumbnail(pixels, size))


@cache
def _extractor(role: Role) -> SiftExtractor:
    return SiftExtractor(*_FEATURES[role])


@dataclass(frozen=True, slots=True, eq=False)
class _Variant:
    """A query's features as they are, or as those of its mirror image or negative, which are copies, too."""

    features: LocalFeatures
    words: NDArray[np.float32]
    mirrored: bool


class Verifier:
    """A query, to be compared with many references.

    Parameters
    ----------
    query : Prepared
    """

    def __init__(self, query: Prepared) -> None:
        self._query = query
        plain, mirrored = query.features, query.features.mirrored()
        self._variants = [
            _Variant(features, root(features.descriptors), is_mirrored)
            for features, is_mirrored in (
                (plain, False),
                (mirrored, True),
                (plain.inverted(), False),
                (mirrored.inverted(), True),
            )
        ]

    def verify(self, reference: Prepared) -> Verification | None:
        """Look for a part of the query that shows a part of the reference, be it mirrored or in negative.

        Returns
        -------
        Verification or None
            None where no mapping between the two has enough places.
        """
        words = root(reference.features.descriptors)
        best: Verification | None = None
        for variant in self._variants:
            if best is not None and best.places >= _PLENTY:
                break
            pairs = correspond(variant.words, words)
            mapping = estimate(variant.features, reference.features, pairs)
            if mapping is None or (best is not None and len(mapping.agreeing) <= best.places):
                continue
            width, _ = self._query.features.size
            matrix = mapping.matrix @ _mirror(width) if variant.mirrored else mapping.matrix
            regions = _regions(matrix, self._query.features.size, reference.features.size)
            if regions is None:
                continue
            best = Verification(
                self._query.features.size,
                reference.features.size,
                matrix,
                self._query.features.places[pairs.query_rows[mapping.agreeing], :2].astype(np.float64),
                reference.features.places[pairs.reference_rows[mapping.agreeing], :2].astype(np.float64),
                *regions,
                agreement(self._query.thumbnail, reference.thumbnail, matrix),
            )
        return best


def _mirror(width: int) -> NDArray[np.float64]:
    return np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def _regions(
    matrix: NDArray[np.float64], query_size: tuple[int, int], reference_size: tuple[int, int]
) -> tuple[Points, Points] | None:
    """The part of the query that the whole reference would fill, as far as it is inside, and where it comes from."""
    import cv2

    region = _inside(_through(np.linalg.inv(matrix), _corners(reference_size)), query_size)
    if len(region) < 3 or cv2.contourArea(region.astype(np.float32)) < 1:
        return None
    return region, np.clip(_through(matrix, region), 0, reference_size)


def _inside(polygon: Points, size: tuple[int, int]) -> Points:
    """The part of a convex polygon that is inside a picture (Sutherland and Hodgman, 1974).

    OpenCV has this, too, but loses corners where sides all but coincide, as those of an unedited copy do.
    """
    for axis, side, inwards in ((0, 0, 1), (0, size[0], -1), (1, 0, 1), (1, size[1], -1)):
        depths = inwards * (polygon[:, axis] - side)
        depths[np.abs(depths) < _SAME_PLACE] = 0
        corners: list[Points] = []
        for here, there, depth, next_depth in zip(
            polygon, np.roll(polygon, -1, axis=0), depths, np.roll(depths, -1), strict=True
        ):
            if depth >= 0:
                corners.append(here)
            if depth * next_depth < 0:
                corners.append(here + (there - here) * depth / (depth - next_depth))
        polygon = np.array(corners, np.float64).reshape(-1, 2)
    return np.asarray(np.clip(polygon, 0, size), np.float64)


def _corners(size: tuple[int, int]) -> Points:
    width, height = size
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)


def _through(matrix: NDArray[np.floating], points: Points) -> Points:
    return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2], np.float64)
