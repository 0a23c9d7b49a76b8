"""Conformance tests: inherit, implement ``make``, and let pytest collect the class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ectype.descriptors import DescriptorModel
from ectype.indexes import ExactIndex, Index
from ectype.types import Neighbours, check_vectors


def unit_rows(rng: np.random.Generator, count: int, dimension: int) -> NDArray[np.float32]:
    """Random directions: float32 (count, dimension), rows of unit length."""
    vectors = rng.normal(size=(count, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def assert_same(found: Neighbours, expected: Neighbours) -> None:
    """Two results are equal to the last bit, in order."""
    assert found.query_rows.tolist() == expected.query_rows.tolist()
    assert found.reference_rows.tolist() == expected.reference_rows.tolist()
    assert found.scores.tolist() == expected.scores.tolist()


class IndexConformance(ABC):
    """What an `ectype.indexes.Index` must do. Exact indexes must return what `ExactIndex` returns."""

    @abstractmethod
    def make(self, dimension: int) -> Index:
        """An empty index."""

    def test_an_empty_index_finds_nothing(self) -> None:
        found = self.make(4).search(unit_rows(np.random.default_rng(0), 3, 4), 5)
        assert len(found) == 0

    def test_it_finds_what_brute_force_finds(self) -> None:
        rng = np.random.default_rng(1)
        references, queries = unit_rows(rng, 300, 16), unit_rows(rng, 200, 16)
        index, exact = self.make(16), ExactIndex(16)
        for part in np.array_split(rng.permutation(300), 7):
            index.add(part.astype(np.int64), references[part])
            exact.add(part.astype(np.int64), references[part])
        gone = np.arange(0, 300, 3)
        index.remove(gone)
        exact.remove(gone)
        assert len(index) == 200
        for limit in (1, 10, 1000):
            for some in (queries, queries[:1]):  # an index may go about few queries in another way
                assert_same(index.search(some, limit), exact.search(some, limit))

    def test_equal_vectors_come_in_the_order_of_their_rows(self) -> None:
        vector = unit_rows(np.random.default_rng(2), 1, 8)
        index = self.make(8)
        index.add(np.array([9, 4, 7], np.int64), np.repeat(vector, 3, axis=0))
        assert index.search(vector, 3).reference_rows.tolist() == [4, 7, 9]

    def test_removing_unknown_rows_changes_nothing(self) -> None:
        vectors = unit_rows(np.random.default_rng(3), 5, 8)
        index = self.make(8)
        index.add(np.arange(5, dtype=np.int64), vectors)
        index.remove(np.array([77], np.int64))
        assert len(index) == 5

    def test_a_score_depends_on_its_pair_alone(self) -> None:
        rng = np.random.default_rng(4)
        references, queries = unit_rows(rng, 500, 32), unit_rows(rng, 200, 32)
        index, smaller = self.make(32), self.make(32)
        index.add(np.arange(500, dtype=np.int64), references)
        smaller.add(np.arange(100, dtype=np.int64), references[:100])
        whole = _scores(index.search(queries, 500))
        alone = {
            (row, reference): score
            for row in range(0, 200, 7)
            for (_, reference), score in _scores(index.search(queries[row : row + 1], 500)).items()
        }
        assert len(alone) == 29 * 500
        assert alone.items() <= whole.items()
        assert _scores(smaller.search(queries, 100)).items() <= whole.items()


def _scores(found: Neighbours) -> dict[tuple[int, int], float]:
    return {
        (query, reference): score
        for query, reference, score in zip(
            found.query_rows.tolist(), found.reference_rows.tolist(), found.scores.tolist(), strict=True
        )
    }


class DescriptorModelConformance(ABC):
    """What an `ectype.descriptors.DescriptorModel` must do."""

    @abstractmethod
    def make(self) -> DescriptorModel:
        """The model."""

    def images(self) -> list[NDArray[np.uint8]]:
        """Pictures of awkward sizes."""
        rng = np.random.default_rng(5)
        sizes = ((1, 1), (3, 700), (700, 3), (64, 48), (500, 375), (224, 224))
        return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in sizes]

    def test_it_keeps_the_contract(self) -> None:
        model = self.make()
        assert isinstance(model, DescriptorModel)
        assert len(model.fingerprint) == 64
        vectors = model.describe(self.images())
        check_vectors(vectors, model.dimension)
        assert model.describe([]).shape == (0, model.dimension)

    def test_no_image_depends_on_the_others(self) -> None:
        model = self.make()
        images = self.images()
        together = model.describe(images)
        alone = np.concatenate([model.describe([image]) for image in reversed(images)])[::-1]
        assert np.array_equal(together, alone)

    def test_threads_do_not_disturb_each_other(self) -> None:
        model = self.make()
        images = self.images() * 4
        expected = model.describe(images)
        with ThreadPoolExecutor(4) as pool:
            found = np.concatenate(list(pool.map(lambda image: model.describe([image]), images)))
        assert np.array_equal(found, expected)
