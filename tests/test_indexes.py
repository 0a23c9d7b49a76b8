from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectype.indexes import ExactIndex, FaissIndex, faiss
from ectype.matching import default_total, select_best
from ectype.testing import IndexConformance
from ectype.testing.conformance import assert_same, unit_rows
from ectype.types import Neighbours


class TestExactIndex(IndexConformance):
    def make(self, dimension: int) -> ExactIndex:
        return ExactIndex(dimension)


class TestFaissIndex(IndexConformance):
    def make(self, dimension: int) -> FaissIndex:
        return FaissIndex(dimension)


class TestFaissIndexOverManyBlocks(TestFaissIndex):
    @pytest.fixture(autouse=True)
    def small_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(faiss, "ROWS_A_BLOCK", 37)


@given(st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 12)), max_size=12), st.integers(0, 9))
def test_any_history_leaves_what_brute_force_holds(history: list[tuple[str, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    index, exact, used = FaissIndex(6), ExactIndex(6), 0
    for verb, count in history:
        if verb == "add":
            rows, vectors = np.arange(used, used + count), unit_rows(rng, count, 6)
            used += count
            for one in (index, exact):
                one.add(rows, vectors)
        else:
            rows = rng.integers(0, used + 3, count)
            for one in (index, exact):
                one.remove(rows)
    assert len(index) == len(exact)
    queries = unit_rows(rng, 4, 6)
    assert_same(index.search(queries, 5), exact.search(queries, 5))
    assert sorted(index.content()[0].tolist()) == sorted(exact.search(queries[:1], 1000).reference_rows.tolist())


def test_the_best_pairs_over_all_queries_are_chosen() -> None:
    pairs = Neighbours(np.array([0, 0, 1, 1, 2]), np.array([5, 6, 5, 7, 8]), np.float32([0.9, 0.2, 0.8, 0.8, 0.1]))
    best = select_best(pairs, 3)
    assert list(zip(best.query_rows.tolist(), best.reference_rows.tolist(), strict=True)) == [(0, 5), (1, 5), (1, 7)]
    assert len(select_best(pairs, 100)) == 5
    tied = select_best(Neighbours(np.array([1, 0]), np.array([3, 4]), np.float32([0.5, 0.5])), 1)
    assert tied.query_rows.tolist() == [0]


def test_ten_pairs_a_query_are_written_up_to_the_limit_of_the_challenge() -> None:
    assert default_total(3) == 30
    assert default_total(10**6) == 500_000
