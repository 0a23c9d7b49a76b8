"""The one way scores are computed and ordered, so that every index gives the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ectype.types import Neighbours

_PAIRS_A_BLOCK = 4096


def exact_scores(
    queries: NDArray[np.float32],
    references: NDArray[np.floating],
    query_rows: NDArray[np.int64],
    reference_positions: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Inner products of pairs, each summed by itself in float64.

    A matrix product sums in an order that depends on its shape, so its last bits change with the other queries of a
    run. These don't.

    Parameters
    ----------
    queries : ndarray of float32, shape (m, d)
    references : ndarray, shape (n, d)
    query_rows, reference_positions : ndarray of int64, shape (p,)
        The two members of each pair, as rows of the two arrays.

    Returns
    -------
    ndarray of float32, shape (p,)
    """
    scores = np.empty(len(query_rows), np.float32)
    for start in range(0, len(scores), _PAIRS_A_BLOCK):
        block = slice(start, start + _PAIRS_A_BLOCK)
        products = queries[query_rows[block]].astype(np.float64) * references[reference_positions[block]]
        scores[block] = products.sum(axis=1)
    return scores


def best_of_each_query(
    query_rows: NDArray[np.int64], reference_rows: NDArray[np.int64], scores: NDArray[np.float32], limit: int
) -> Neighbours:
    """The best `limit` pairs of each query, ordered by query row, score from high to low, reference row."""
    order = np.lexsort((reference_rows, -scores, query_rows))
    ordered = query_rows[order]
    starts = np.searchsorted(ordered, ordered)  # where the query of each pair begins
    kept = order[np.arange(len(order)) - starts < limit]
    return Neighbours(query_rows[kept], reference_rows[kept], scores[kept])
