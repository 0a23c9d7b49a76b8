"""Exact search by faiss, over vectors that are kept in half precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ectype.indexes.scoring import best_of_each_query, exact_scores
from ectype.types import Neighbours

ROWS_A_BLOCK = 65536
_FEW_QUERIES = 128
_SPARE = 8  # candidates beyond the limit, since rescoring may swap neighbours that differ in the last bit


_NOTHING = Neighbours(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


class _Block:
    """Some rows with their vectors in half precision, and faiss's ways to search them."""

    def __init__(self, rows: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        self.rows = rows
        self.vectors = vectors
        self._halves: Any = None

    def search(self, queries: NDArray[np.float32], wanted: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and positions of the best vectors of each query, both (m, wanted)."""
        import faiss

        if len(queries) > _FEW_QUERIES:  # widening all vectors once pays
            widened = self.vectors.astype(np.float32)
            scores, positions = faiss.knn(queries, widened, wanted, metric=faiss.METRIC_INNER_PRODUCT)
        else:
            scores, positions = self._index_of_halves().search(queries, wanted)
        return scores, positions

    def _index_of_halves(self) -> Any:
        """A faiss index that computes on half precision as it is; made when first needed, by copying."""
        import faiss

        if self._halves is None:
            index = faiss.IndexScalarQuantizer(
                self.vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
            )
            faiss.copy_array_to_vector(np.ascontiguousarray(self.vectors).view(np.uint8).reshape(-1), index.codes)
            index.ntotal = len(self.vectors)
            self._halves = index
        return self._halves


class FaissIndex:
    """Every query against every reference, block by block.

    Half precision halves the memory (512 bytes a reference at 256 dimensions) and changes a score by at most 1e-4. For
    many queries one block at a time is widened to float32 and multiplied; for a few, faiss computes on the halves
    themselves. Blocks may lie in a memory-mapped file.

    Parameters
    ----------
    dimension : int
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._blocks: list[_Block] = []

    def __len__(self) -> int:
        return sum(len(block.rows) for block in self._blocks)

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        halves = vectors.astype(np.float16, copy=False)
        if self._blocks and len(self._blocks[-1].rows) + len(rows) <= ROWS_A_BLOCK:
            last = self._blocks.pop()
            rows, halves = np.concatenate([last.rows, rows]), np.concatenate([last.vectors, halves])
        for start in range(0, len(rows), ROWS_A_BLOCK):
            block = slice(start, start + ROWS_A_BLOCK)
            self._blocks.append(_Block(rows[block], halves[block]))

    def remove(self, rows: NDArray[np.int64]) -> None:
        for number, block in enumerate(self._blocks):
            kept = ~np.isin(block.rows, rows)
            if not kept.all():
                self._blocks[number] = _Block(block.rows[kept], block.vectors[kept])
        self._blocks = [block for block in self._blocks if len(block.rows)]

    def content(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """All row numbers (n,) and vectors (n, d)."""
        rows = [np.empty(0, np.int64), *(block.rows for block in self._blocks)]
        vectors = [np.empty((0, self._dimension), np.float16), *(block.vectors for block in self._blocks)]
        return np.concatenate(rows), np.concatenate(vectors)

    def search(self, queries: NDArray[np.float32], limit: int) -> Neighbours:
        if not len(queries) or limit < 1:
            return _NOTHING
        queries = np.ascontiguousarray(queries, np.float32)
        found = _NOTHING  # references by position: how many vectors stand before them, over all blocks
        start = 0
        for block in self._blocks:
            wanted = min(limit + _SPARE, len(block.rows))
            scores, positions = block.search(queries, wanted)
            here = Neighbours(
                np.repeat(np.arange(len(queries)), wanted), positions.reshape(-1) + start, scores.reshape(-1)
            )
            found = _merge(found, here, limit + _SPARE)
            start += len(block.rows)
        return self._rescore(queries, found, limit)

    def _rescore(self, queries: NDArray[np.float32], found: Neighbours, limit: int) -> Neighbours:
        rows = np.empty(len(found), np.int64)
        scores = np.empty(len(found), np.float32)
        start = 0
        for block in self._blocks:
            inside = np.flatnonzero((found.reference_rows >= start) & (found.reference_rows < start + len(block.rows)))
            positions = found.reference_rows[inside] - start
            rows[inside] = block.rows[positions]
            scores[inside] = exact_scores(queries, block.vectors, found.query_rows[inside], positions)
            start += len(block.rows)
        return best_of_each_query(found.query_rows, rows, scores, limit)


def _merge(one: Neighbours, other: Neighbours, limit: int) -> Neighbours:
    return best_of_each_query(
        np.concatenate([one.query_rows, other.query_rows]),
        np.concatenate([one.reference_rows, other.reference_rows]),
        np.concatenate([one.scores, other.scores]),
        limit,
    )
