"""Leaving out pairs that are surely too far, by matrix products that allow for their own rounding.

With one number more on each side, a product gives q·r - |r|²/2 at once: 1 for a query, minus half the squared length
for a reference. A pair's score, minus its squared L2 distance, reaches s where that is at least (s + |q|²)/2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]
Kind = type[np.float32] | type[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Extended:
    """Vectors with one number more.

    Attributes
    ----------
    vectors : ndarray of float32 or float64, shape (n, d + 1)
    half_lengths : ndarray of float64, shape (n,)
        Halves of the squared lengths, a little less than they are.
    """

    vectors: Floats
    half_lengths: NDArray[np.float64]

    @classmethod
    def of(cls, vectors: NDArray[np.float32], side: Literal["query", "reference"], kind: Kind) -> Extended:
        """From vectors (n, d) of one side, for products that are computed in `kind`.

        Rounding takes at most (d + 1) eps / 2 of the two squared lengths from a product of that many terms (Higham,
        "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1); twice as much is given here.
        """
        slack = 2 * (vectors.shape[1] + 8) * float(np.finfo(kind).eps)
        squared = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        half_lengths = np.asarray(squared / 2 * (1 - slack), np.float64)
        last = np.ones(len(vectors)) if side == "query" else -half_lengths
        return cls(np.column_stack([vectors.astype(kind, copy=False), last.astype(kind)]), half_lengths)


class Product:
    """All pairs of some queries with some references.

    Parameters
    ----------
    queries : Extended
    rows : slice
        Of the queries.
    references : Extended
        Of the same kind.
    """

    def __init__(self, queries: Extended, rows: slice, references: Extended) -> None:
        self._values = queries.vectors[rows] @ references.vectors.T
        self._half_lengths = queries.half_lengths[rows]

    @property
    def size(self) -> int:
        """How many pairs there are."""
        return self._values.size

    def near(self, least: float) -> NDArray[np.int64]:
        """Every pair that may have a score of `least`: its query's place times the references, plus its reference's."""
        return np.flatnonzero(self._values >= self._bounds(least)[:, None])

    def still_near(self, pairs: NDArray[np.int64], least: float) -> NDArray[np.int64]:
        """Those of some pairs that may have a score of `least`."""
        bounds = self._bounds(least)[pairs // self._values.shape[1]]
        return np.asarray(pairs[self._values.ravel()[pairs] >= bounds], np.int64)

    def _bounds(self, least: float) -> Floats:
        """What each query's products must reach, rounded down."""
        kind = self._values.dtype.type
        bounds = (least / 2 + self._half_lengths).astype(kind)
        return np.asarray(np.nextafter(bounds, kind(-np.inf)) - np.finfo(kind).tiny)
