"""The index that is easy to believe: every inner product, sorted. It defines what the others must return."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ectype.indexes.scoring import best_of_each_query, exact_scores
from ectype.types import Neighbours


class ExactIndex:
    """Brute force in NumPy; for tests and small collections, since it forms every pair."""

    def __init__(self, dimension: int) -> None:
        self._rows = np.empty(0, np.int64)
        self._vectors = np.empty((0, dimension), np.float16)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        self._rows = np.concatenate([self._rows, rows])
        self._vectors = np.concatenate([self._vectors, vectors.astype(np.float16)])

    def remove(self, rows: NDArray[np.int64]) -> None:
        kept = ~np.isin(self._rows, rows)
        self._rows, self._vectors = self._rows[kept], self._vectors[kept]

    def search(self, queries: NDArray[np.float32], limit: int) -> Neighbours:
        query_rows = np.repeat(np.arange(len(queries)), len(self))
        positions = np.tile(np.arange(len(self)), len(queries))
        scores = exact_scores(queries, self._vectors, query_rows, positions)
        return best_of_each_query(query_rows, self._rows[positions], scores, limit)
