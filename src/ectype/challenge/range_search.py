"""The best pairs of all queries and references under squared L2, exactly, in bounded memory.

The official scorer of the Descriptor Track ranks all pairs by minus the squared L2 distance and keeps ten times as many
as there are queries. It finds them with a radius that shrinks while it searches (faiss's
``range_search_max_results``); which pairs it keeps among those that tie at the cut is left to chance. Here the order is
complete: by score, then row of the query, then row of the reference; the best pairs of that order are kept.

Blocks of float32 matrix products leave out what is surely too far: each is compared with a bound that allows for the
rounding of the products. What remains is scored pair by pair, the squares of the differences summed in float64, so that
no figure depends on the size of the blocks or the order in which they are finished.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ectype.descriptors.extraction import OnProgress
from ectype.descriptors.runtimes import available_cores

QUERIES_A_BLOCK = 512
_PAIRS_A_PIECE = 2**18
_PAIRS_SCORED_AT_ONCE = 2048


@dataclass(frozen=True, slots=True, eq=False)
class RankedPairs:
    """Pairs as three columns of one length, from the highest score to the lowest.

    Attributes
    ----------
    query_rows, reference_rows : ndarray of int64, shape (m,)
    scores : ndarray of float64, shape (m,)
        Minus the squared L2 distances.
    """

    query_rows: NDArray[np.int64]
    reference_rows: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    def best(self, wanted: int) -> RankedPairs:
        """The first `wanted` of the complete order."""
        order = np.lexsort((self.reference_rows, self.query_rows, -self.scores))[:wanted]
        return RankedPairs(self.query_rows[order], self.reference_rows[order], self.scores[order])

    def and_those(self, other: RankedPairs) -> RankedPairs:
        """Both, not yet ordered."""
        return RankedPairs(
            np.concatenate([self.query_rows, other.query_rows]),
            np.concatenate([self.reference_rows, other.reference_rows]),
            np.concatenate([self.scores, other.scores]),
        )


_NOTHING = RankedPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def best_pairs(
    queries: NDArray[np.float32],
    reference_blocks: Iterable[NDArray[np.float32]],
    wanted: int,
    *,
    queries_a_block: int = QUERIES_A_BLOCK,
    on_progress: OnProgress | None = None,
) -> RankedPairs:
    """The `wanted` pairs of the smallest squared L2 distance.

    Parameters
    ----------
    queries : ndarray of float32, shape (n, d)
        Finite numbers of at most 1e15; so the references.
    reference_blocks : iterable of ndarray of float32, shape (any, d)
        Each is looked at once.
    wanted : int
        Pairs to keep; all of them, if there are fewer.
    queries_a_block : int
        Decides memory and speed, not the result.
    on_progress : callable, optional
        Called with the number of references finished since the last call.

    Returns
    -------
    RankedPairs
        Ordered by score, query row, reference row. Rows of references are counted over all blocks.
    """
    kept = _Kept(wanted)
    search = _Search(queries, kept)
    starts = range(0, len(queries), queries_a_block)
    first = 0
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(available_cores()) as pool:
        for vectors in reference_blocks:
            block = _ReferenceBlock.of(first, vectors)
            for _ in pool.map(lambda start, b=block: search.look_at(slice(start, start + queries_a_block), b), starts):
                pass
            first += len(vectors)
            if on_progress is not None:
                on_progress(len(vectors))
    return kept.finish()


class _Kept:
    """The best pairs so far; may be used by several threads at once."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._pairs = _NOTHING
        self._waiting: list[RankedPairs] = []
        self._lock = threading.Lock()
        self.least = -np.inf if wanted else np.inf
        """Pairs of a lower score than this are of no use any more."""

    def offer(self, pairs: RankedPairs) -> None:
        with self._lock:
            self._waiting.append(pairs)
            if sum(map(len, self._waiting)) > max(self._wanted, _PAIRS_A_PIECE):
                self._sort_out()

    def finish(self) -> RankedPairs:
        self._sort_out()
        return self._pairs

    def _sort_out(self) -> None:
        everything = self._pairs
        for pairs in self._waiting:
            everything = everything.and_those(pairs)
        self._waiting.clear()
        self._pairs = everything.best(self._wanted)
        if self._wanted and len(self._pairs) == self._wanted:
            self.least = float(self._pairs.scores[-1])


@dataclass(frozen=True, slots=True, eq=False)
class _ReferenceBlock:
    """References (n, d) from row `first` on; `extended` (n, d + 1) has minus half the squared length, a little less."""

    first: int
    vectors: NDArray[np.float32]
    extended: NDArray[np.float32]

    @classmethod
    def of(cls, first: int, vectors: NDArray[np.float32]) -> _ReferenceBlock:
        return cls(first, vectors, np.column_stack([vectors, -_half_squared_lengths(vectors).astype(np.float32)]))


class _Search:
    def __init__(self, queries: NDArray[np.float32], kept: _Kept) -> None:
        self._queries, self._kept = queries, kept
        self._extended = np.column_stack([queries, np.ones(len(queries), np.float32)])
        self._half_lengths = _half_squared_lengths(queries)

    def look_at(self, rows: slice, block: _ReferenceBlock) -> None:
        """Offer the pairs of some queries with a block of references that may be among the best."""
        # -|q - r|² >= least  is  q·r - |r|²/2 >= (least + |q|²)/2
        products = self._extended[rows] @ block.extended.T
        near = np.flatnonzero(products >= self._bounds(rows)[:, None])
        for start in range(0, len(near), _PAIRS_A_PIECE):
            piece = near[start : start + _PAIRS_A_PIECE]
            query_rows, positions = np.divmod(piece, len(block.vectors))
            if start:  # the bounds may have risen by what this very block has offered
                is_near = products.ravel()[piece] >= self._bounds(rows)[query_rows]
                query_rows, positions = query_rows[is_near], positions[is_near]
            query_rows += rows.start
            scores = exact_scores(self._queries, block.vectors, query_rows, positions)
            good = scores >= self._kept.least
            self._kept.offer(RankedPairs(query_rows[good], positions[good] + block.first, scores[good]))

    def _bounds(self, rows: slice) -> NDArray[np.float32]:
        """What the product of each query must reach, rounded down."""
        bounds = (self._kept.least / 2 + self._half_lengths[rows]).astype(np.float32)
        return np.asarray(np.nextafter(bounds, np.float32(-np.inf)) - np.finfo(np.float32).tiny, np.float32)


def _half_squared_lengths(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Less as much as rounding may take from a float32 product: (d + 1) / 2²⁴ of both squared lengths, twice over.

    (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1.)
    """
    slack = 4 * (vectors.shape[1] + 8) / 2**24
    squared = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return np.asarray(squared / 2 * (1 - slack), np.float64)


def exact_scores(
    queries: NDArray[np.float32],
    references: NDArray[np.float32],
    query_rows: NDArray[np.int64],
    reference_positions: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Minus the squared L2 distances of pairs, each summed by itself in float64: float64, shape (p,)."""
    scores = np.empty(len(query_rows))
    for start in range(0, len(scores), _PAIRS_SCORED_AT_ONCE):
        block = slice(start, start + _PAIRS_SCORED_AT_ONCE)
        differences = queries[query_rows[block]].astype(np.float64)
        differences -= references[reference_positions[block]]
        scores[block] = 0.0 - np.square(differences, out=differences).sum(axis=1)
    return scores
