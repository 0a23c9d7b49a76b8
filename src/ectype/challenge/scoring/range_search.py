"""The best pairs of all queries and references under squared L2, exactly, in bounded memory.

The official scorer of the Descriptor Track ranks all pairs by minus the squared L2 distance and keeps ten times as many
as there are queries. It finds them with a radius that shrinks while it searches (faiss's
``range_search_max_results``); which pairs it keeps among those that tie at the cut is left to chance. Here the order is
complete: by score, then row of the query, then row of the reference; the best pairs of that order are kept.

Matrix products of blocks leave out what is surely too far (see `ectype.challenge.scoring.near_pairs`). What remains is
scored pair by pair, the squares of the differences summed in float64, so that no figure depends on the size of the
blocks or the order in which they are finished.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ectype.challenge.scoring.near_pairs import Extended, Product
from ectype.descriptors.runtimes import available_cores
from ectype.types import OnProgress

QUERIES_A_BLOCK = 512
_PAIRS_A_PIECE = 2**18
_PAIRS_SCORED_AT_ONCE = 2048
_CROWD = 1 / 64
"""Share of near pairs from which it is cheaper to multiply again in float64 than to score them all."""


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

    def at(self, places: NDArray[np.integer] | NDArray[np.bool_]) -> RankedPairs:
        """Some of the pairs."""
        return RankedPairs(self.query_rows[places], self.reference_rows[places], self.scores[places])

    def best(self, wanted: int) -> RankedPairs:
        """The first `wanted` of the complete order."""
        return self.at(np.lexsort((self.reference_rows, self.query_rows, -self.scores))[:wanted])


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
    search = _Search(queries, wanted)
    parts = [slice(start, start + queries_a_block) for start in range(0, len(queries), queries_a_block)]
    first = 0
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(available_cores()) as pool:
        for vectors in reference_blocks:
            block = _ReferenceBlock(first, vectors)
            for task in [pool.submit(search.look_at, part, block) for part in parts]:
                task.result()
            first += len(vectors)
            if on_progress is not None:
                on_progress(len(vectors))
    return search.kept.finish()


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

    def may_enter(self, query_rows: NDArray[np.int64], reference_rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which pairs have a place in the order, by their rows: all, unless distances of 0 fill it up already."""
        with self._lock:
            if self.least < 0 or not len(self._pairs):
                return np.ones(len(query_rows), np.bool_)
            query, reference = self._pairs.query_rows[-1], self._pairs.reference_rows[-1]
        before = (query_rows < query) | ((query_rows == query) & (reference_rows < reference))
        return np.asarray(before, np.bool_)

    def finish(self) -> RankedPairs:
        self._sort_out()
        return self._pairs

    def _sort_out(self) -> None:
        columns = zip(*((p.query_rows, p.reference_rows, p.scores) for p in (self._pairs, *self._waiting)), strict=True)
        self._pairs = RankedPairs(*map(np.concatenate, columns)).best(self._wanted)
        self._waiting.clear()
        if self._wanted and len(self._pairs) == self._wanted:
            self.least = float(self._pairs.scores[-1])


class _ReferenceBlock:
    """References (n, d) from row `first` on."""

    def __init__(self, first: int, vectors: NDArray[np.float32]) -> None:
        self.first, self.vectors = first, vectors
        self.narrow = Extended.of(vectors, "reference", np.float32)

    @cached_property
    def wide(self) -> Extended:
        return Extended.of(self.vectors, "reference", np.float64)


class _Search:
    def __init__(self, queries: NDArray[np.float32], wanted: int) -> None:
        self.kept = _Kept(wanted)
        self._queries = queries
        self._narrow = Extended.of(queries, "query", np.float32)

    @cached_property
    def _wide(self) -> Extended:
        return Extended.of(self._queries, "query", np.float64)

    def look_at(self, rows: slice, block: _ReferenceBlock) -> None:
        """Offer the pairs of some queries with a block of references that may be among the best."""
        least = self.kept.least
        product = Product(self._narrow, rows, block.narrow)
        near = product.near(least)
        if least > -np.inf and len(near) > _CROWD * product.size:
            product = Product(self._wide, rows, block.wide)
            near = product.near(least)
        while len(near):
            piece, near = near[:_PAIRS_A_PIECE], near[_PAIRS_A_PIECE:]
            self._offer(*np.divmod(piece, len(block.vectors)), rows.start, block)
            if self.kept.least > least:
                least = self.kept.least
                near = product.still_near(near, least)

    def _offer(
        self, places: NDArray[np.int64], positions: NDArray[np.int64], first: int, block: _ReferenceBlock
    ) -> None:
        entering = self.kept.may_enter(places + first, positions + block.first)
        query_rows, positions = places[entering] + first, positions[entering]
        scores = exact_scores(self._queries, block.vectors, query_rows, positions)
        self.kept.offer(RankedPairs(query_rows, positions + block.first, scores).at(scores >= self.kept.least))


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
