"""What an index is: rows of vectors, searched by inner product."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ectype.types import Neighbours


class Index(Protocol):
    """Vectors under row numbers that the caller chose.

    The score of a pair depends on its two vectors alone, to the last bit: not on what else is searched or stored.
    """

    def __len__(self) -> int: ...

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Add vectors (n, d), of unit length, under n row numbers that are not in use."""
        ...

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Remove rows; numbers that are not there are passed over."""
        ...

    def search(self, queries: NDArray[np.float32], limit: int) -> Neighbours:
        """Find the `limit` references of the highest inner product for each of the queries (m, d).

        Returns
        -------
        Neighbours
            Ordered by query row, then score from high to low, then reference row. A query has fewer than `limit`
            pairs only if there are fewer references.
        """
        ...
