"""The mapping between two pictures that most correspondences agree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ectype.verification.features import LocalFeatures

_RATIO = 0.85  # of the distances to the nearest and the second nearest; Lowe's 0.8 loses blurred copies
_MOST = 160  # correspondences that are looked at, the most distinct
_TOLERANCES = (0.07, 0.05, 0.035, 0.025)  # in parts of the reference's longer side, from round to round
_TURN, _STRETCH = np.deg2rad(35), np.log(1.8)
_HYPOTHESES = 6
_FEWEST = 4
_SHARPENINGS = 4
_LARGEST_SHEAR = 5.0  # longest to shortest of a circle's image


@dataclass(frozen=True, slots=True, eq=False)
class Correspondences:
    """Places of the query and of the reference that look alike: rows of both, and how distinct each is (0 to 1)."""

    query_rows: NDArray[np.int64]
    reference_rows: NDArray[np.int64]
    ratios: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """An affine mapping from the query to the reference, in pixels.

    Attributes
    ----------
    matrix : ndarray of float64, shape (3, 3)
    agreeing : ndarray of int64
        Rows of the correspondences that agree with it.
    """

    matrix: NDArray[np.float64]
    agreeing: NDArray[np.int64]


def root(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Square roots of SIFT's histograms, of unit length (RootSIFT: Arandjelovic and Zisserman, CVPR 2012)."""
    rows = descriptors.astype(np.float32)
    sums = rows.sum(axis=1, keepdims=True)
    return np.asarray(np.sqrt(rows / np.maximum(sums, 1)), np.float32)


def correspond(query: NDArray[np.float32], reference: NDArray[np.float32]) -> Correspondences:
    """For each feature of the query its nearest in the reference, if that is much nearer than the second.

    Parameters
    ----------
    query, reference : ndarray of float32, shapes (m, 128) and (n, 128)
        Unit rows.
    """
    if len(query) == 0 or len(reference) < 2:
        return Correspondences(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    similarity = query @ reference.T
    rows = np.arange(len(query))
    nearest = similarity.argmax(axis=1)
    best = similarity[rows, nearest]
    similarity[rows, nearest] = -1
    second = similarity.max(axis=1)
    ratios = np.sqrt(np.maximum(1 - best, 0) / np.maximum(1 - second, 1e-6)).astype(np.float32)
    kept = np.flatnonzero(ratios < _RATIO)
    kept = kept[np.argsort(ratios[kept], kind="stable")[:_MOST]]
    return Correspondences(kept, nearest[kept], ratios[kept])


def estimate(query: LocalFeatures, reference: LocalFeatures, pairs: Correspondences) -> Mapping | None:
    """Find the mapping that most correspondences agree with.

    Every correspondence proposes a similarity by itself, from the places' diameters and directions; the best proposals
    are refined to affine mappings (after Philbin et al., CVPR 2007). Nothing is drawn by chance, so the same features
    give the same mapping.
    """
    if len(pairs.ratios) < _FEWEST:
        return None
    here = query.places[pairs.query_rows].astype(np.float64)
    there = reference.places[pairs.reference_rows].astype(np.float64)
    longest = max(reference.size)
    turns = there[:, 3] - here[:, 3]
    scales = np.log(there[:, 2] / here[:, 2])
    cosine, sine = np.cos(turns) * np.exp(scales), np.sin(turns) * np.exp(scales)
    dx, dy = (here[None, :, axis] - here[:, None, axis] for axis in (0, 1))
    x = cosine[:, None] * dx - sine[:, None] * dy + there[:, None, 0]
    y = sine[:, None] * dx + cosine[:, None] * dy + there[:, None, 1]
    near = np.hypot(x - there[None, :, 0], y - there[None, :, 1]) < _TOLERANCES[0] * longest
    alike = np.abs(_wrapped(turns[None] - turns[:, None])) < _TURN
    alike &= np.abs(scales[None] - scales[:, None]) < _STRETCH
    votes = near & alike
    order = np.argsort(-votes.sum(axis=1), kind="stable")[:_HYPOTHESES]
    best: Mapping | None = None
    for proposal in order:
        found = _refined(here[:, :2], there[:, :2], votes[proposal], alike[proposal], longest)
        if found is not None and (best is None or len(found.agreeing) > len(best.agreeing)):
            best = found
    return None if best is None else Mapping(_sharpened(best, here[:, :2], there[:, :2]), best.agreeing)


def _sharpened(found: Mapping, here: NDArray[np.float64], there: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mapping that fits the exactest places best: least squares, weighted by Cauchy's function of the distances."""
    padded = np.column_stack([here, np.ones(len(here))])[found.agreeing]
    goal, matrix = there[found.agreeing], found.matrix
    for _ in range(_SHARPENINGS):
        distances = np.hypot(*(padded @ matrix[:2].T - goal).T)
        weights = 1 / np.sqrt(1 + (distances / max(np.median(distances), 1e-6)) ** 2)
        solution, _, rank, _ = np.linalg.lstsq(padded * weights[:, None], goal * weights[:, None], rcond=1e-6)
        if rank < 3 or not _is_plausible(solution[:2].T):
            break
        matrix = np.vstack([solution.T, (0, 0, 1)])
    return matrix


def _refined(
    here: NDArray[np.float64],
    there: NDArray[np.float64],
    agreeing: NDArray[np.bool_],
    alike: NDArray[np.bool_],
    longest: int,
) -> Mapping | None:
    padded = np.column_stack([here, np.ones(len(here))])
    solution = None
    for tolerance in _TOLERANCES:
        if agreeing.sum() < _FEWEST:
            return None
        solution, _, rank, _ = np.linalg.lstsq(padded[agreeing], there[agreeing], rcond=1e-6)
        if rank < 3:
            return None
        agreeing = alike & (np.hypot(*(padded @ solution - there).T) < tolerance * longest)
    rows = _distinct(here, there, np.flatnonzero(agreeing))
    if solution is None or len(rows) < _FEWEST or not _is_plausible(solution[:2].T):
        return None
    matrix = np.eye(3)
    matrix[:2] = solution.T
    return Mapping(matrix, rows)


def _is_plausible(linear: NDArray[np.floating]) -> bool:
    widths = np.linalg.svd(linear, compute_uv=False)
    return bool(np.linalg.det(linear) > 0 and widths[1] * _LARGEST_SHEAR > widths[0])


def _distinct(here: NDArray[np.float64], there: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """One correspondence for each place of either picture: SIFT gives a place once for each of its directions."""
    for points in (here, there):
        _, first = np.unique(np.round(points[rows]), axis=0, return_index=True)
        rows = rows[np.sort(first)]
    return rows


def _wrapped(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return (angles + np.pi) % (2 * np.pi) - np.pi
