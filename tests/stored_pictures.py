"""Tiny pictures, collections of them, and what these must hold and find."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from ectype.collection import Collection, cached_index
from ectype.collection import collection as collection_module
from ectype.images import ImageItem
from ectype.indexes import ExactIndex
from ectype.testing import ThumbnailModel
from ectype.types import Neighbours
from ectype.verification.agreement import thumbnail

MODEL = ThumbnailModel()
ELSEWHERE = 10**6
"""Seed of a picture that is in no collection."""
THIRTY = {str(seed): seed for seed in range(30)}
"""What the fixture `filled` holds: seeds by id."""


@functools.cache
def picture_bytes(seed: int) -> bytes:
    """A PNG file of 8 x 8 random pixels, so that no two have nearly the same descriptor."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def picture_item(id: str, seed: int) -> ImageItem:
    """A picture that lies in memory."""
    return ImageItem(id, f"memory:{seed}", {"seed": seed}, content=picture_bytes(seed))


def pixels(seed: int) -> np.ndarray:
    with Image.open(io.BytesIO(picture_bytes(seed))) as image:
        return np.asarray(image)


@functools.cache
def descriptor(seed: int) -> np.ndarray:
    return MODEL.describe([pixels(seed)])[0]


def brute_force(rows: Sequence[int], vectors: np.ndarray, queries: np.ndarray, limit: int) -> Neighbours:
    exact = ExactIndex(vectors.shape[1])
    exact.add(np.array(rows, np.int64), vectors)
    return exact.search(queries, limit)


def assert_holds(collection: Collection, expected: Mapping[str, int]) -> None:
    """The collection has exactly the pictures `expected`, seeds by id; and searching it finds what brute force does."""
    references = list(collection)
    assert {reference.id: reference.metadata["seed"] for reference in references} == expected
    assert len(collection) == len(expected)
    for reference in references:
        seed = expected[reference.id]
        assert reference.sha256 == hashlib.sha256(picture_bytes(seed)).hexdigest()
        assert reference.location == f"memory:{seed}"
    assert_keeps(collection, expected)
    assert_finds(collection, expected)


def assert_keeps(collection: Collection, expected: Mapping[str, int]) -> None:
    """Of each of the pictures `expected`, seeds by id, the collection keeps what verification needs, if of any."""
    rows = {reference.row: expected[reference.id] for reference in collection}
    kept = collection.features(rows)
    assert kept.keys() == (rows.keys() if collection.keeps_features else set())
    for row, prepared in kept.items():
        assert np.array_equal(prepared.thumbnail.pixels, thumbnail(pixels(rows[row]), prepared.features.size).pixels)


def assert_finds(collection: Collection, expected: Mapping[str, int]) -> None:
    """Searching the collection finds what brute force over the pictures `expected`, seeds by id, finds."""
    rows = {reference.row: expected[reference.id] for reference in collection}
    vectors = np.array([descriptor(seed) for seed in rows.values()], np.float32).reshape(-1, MODEL.dimension)
    queries = np.array([descriptor(seed) for seed in [*list(rows.values())[:5], ELSEWHERE]], np.float32)
    found, truth = collection.search(queries, 4), brute_force(list(rows), vectors, queries, 4)
    assert found.query_rows.tolist() == truth.query_rows.tolist()
    assert found.reference_rows.tolist() == truth.reference_rows.tolist()
    assert found.scores.tolist() == truth.scores.tolist()


@contextlib.contextmanager
def small_batches() -> Iterator[None]:
    """Four images a transaction, and an index on disk that is written anew every six."""
    with (
        mock.patch.object(collection_module, "IMAGES_A_TRANSACTION", 4),
        mock.patch.object(cached_index, "_STALE_ROWS", 6),
    ):
        yield


def add(collection: Collection, seeds: Sequence[int]) -> None:
    """Pictures under their seeds as ids."""
    report = collection.add([picture_item(str(seed), seed) for seed in seeds], MODEL)
    assert report.added == len(seeds)


def execute(folder: Path, statement: str, *values: object) -> None:
    """Change the database of a collection behind its back."""
    connection = sqlite3.connect(folder / "collection.sqlite")
    with connection:
        connection.execute(statement, values)
    connection.close()


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
