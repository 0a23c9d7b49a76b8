"""Which pairs are written: the best over all queries, not a fixed number of each."""

from __future__ import annotations

import numpy as np

from ectype.types import Neighbours

PAIRS_A_QUERY = 10
MOST_PAIRS = 500_000
"""As many as the challenge's Matching Track takes."""


def default_total(queries: int) -> int:
    """Pairs written for a number of queries unless the caller says otherwise: ten times as many, 500,000 at most."""
    return min(PAIRS_A_QUERY * queries, MOST_PAIRS)


def select_best(neighbours: Neighbours, total: int) -> Neighbours:
    """The best `total` pairs over all queries.

    Ties are broken by query row, then reference row, so that the same pairs are chosen each time.

    Returns
    -------
    Neighbours
        Ordered by score, from high to low.
    """
    order = np.lexsort((neighbours.reference_rows, neighbours.query_rows, -neighbours.scores))[:total]
    return Neighbours(neighbours.query_rows[order], neighbours.reference_rows[order], neighbours.scores[order])
