from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from ectype.collection import Collection
from ectype.errors import CollectionError
from stored_pictures import MODEL, add, descriptor, execute, picture_item

WRONG = {
    "UPDATE images SET vector = substr(vector, 3) WHERE id = '4'": ["image '4' has a vector of a wrong size"],
    "UPDATE images SET vector = 'text' WHERE id = '4'": ["image '4' has a vector of a wrong size"],
    "UPDATE images SET vector = CAST(zeroblob(386) AS TEXT) WHERE id = '4'": ["image '4' has a vector of a wrong size"],
    "UPDATE images SET vector = zeroblob(386) WHERE id = '4'": ["image '4' has a vector of length 0, not 1"],
    "UPDATE images SET sha256 = x'00' WHERE id = '4'": ["image '4' has a digest of a wrong size"],
    "UPDATE images SET metadata = '{' WHERE id = '4'": ["image '4' has metadata that are no JSON"],
    "UPDATE images SET generation = 1000 WHERE id = '4'": ["image '4' is of a time that the collection never had"],
    "UPDATE images SET generation = 0 WHERE id = '4'": ["image '4' is of a time that the collection never had"],
    "INSERT INTO removals SELECT row, 2 FROM images WHERE id = '4'": [
        "image '4' has the number of an image that was removed"
    ],
}


@pytest.mark.parametrize("statement", WRONG)
def test_every_kind_of_damage_is_named(filled: Collection, statement: str) -> None:
    assert filled.problems() == []
    execute(filled.folder, statement)
    assert filled.problems() == WRONG[statement]


@pytest.mark.parametrize(("value", "length"), [(np.nan, "nan"), (np.inf, "inf"), (0.5, "6.946"), (1e-3, "0.0139")])
def test_vectors_that_are_no_unit_vectors_are_named(filled: Collection, value: float, length: str) -> None:
    vector = np.full(MODEL.dimension, value, np.float16).tobytes()
    execute(filled.folder, "UPDATE images SET vector = ? WHERE id = '4'", vector)
    (problem,) = filled.problems()
    assert problem.startswith(f"image '4' has a vector of length {length}")
    if not np.isfinite(value):
        with pytest.raises(CollectionError, match="a vector is not finite"):
            filled.rebuild()


def test_a_row_that_can_not_be_understood_is_an_error_and_no_wrong_answer(filled: Collection) -> None:
    shift = "UPDATE images SET vector = CAST(substr(vector || vector, 1, 386 + ?) AS BLOB) WHERE id = ?"
    execute(filled.folder, shift, 2, "20")
    execute(filled.folder, shift, -2, "21")
    with Collection(filled.folder) as reader, pytest.raises(CollectionError, match="a vector has a wrong size"):
        reader.search(descriptor(0)[None])
    execute(filled.folder, "UPDATE images SET metadata = '{' WHERE id = '4'")
    with pytest.raises(CollectionError, match="image '4' has a wrong digest or wrong metadata"):
        list(filled)
    assert len(filled.problems()) == 3


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE meta", "not a sound collection database .*restore it from a backup"),
        ("UPDATE meta SET value = '2' WHERE key = 'format'", "has format '2', this version of Ectype reads 1"),
        ("DELETE FROM meta WHERE key = 'format'", "has format None"),
        ("DELETE FROM meta WHERE key = 'dimension'", "lacks an entry"),
        ("DELETE FROM meta WHERE key = 'model'", "lacks an entry"),
        ("UPDATE meta SET value = 'many' WHERE key = 'generation'", "lacks an entry, or has a wrong one"),
    ],
)
def test_a_database_of_another_kind_is_refused(folder: Path, statement: str, message: str) -> None:
    Collection.create(folder, MODEL).close()
    execute(folder, statement)
    with pytest.raises(CollectionError, match=message):
        Collection(folder)


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"\xff" * 10_000], ids=["empty", "header", "garbage"])
def test_a_file_that_is_no_database_is_refused(folder: Path, content: bytes) -> None:
    Collection.create(folder, MODEL).close()
    (folder / "collection.sqlite").write_bytes(content)
    with pytest.raises(CollectionError, match="not a sound collection database"):
        Collection(folder)


@pytest.mark.parametrize("seed", range(40))
def test_no_damage_to_the_file_goes_further_than_a_clear_error(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    with Collection.create(folder, MODEL) as collection:
        add(collection, range(60))
        collection.remove([str(number) for number in range(0, 60, 7)])
    file = folder / "collection.sqlite"
    if seed % 4 == 0:
        os.truncate(file, rng.randrange(1, file.stat().st_size))
    else:
        content = bytearray(file.read_bytes())
        start = rng.randrange(len(content))
        content[start : start + 300] = rng.randbytes(len(content[start : start + 300]))
        file.write_bytes(content)
    with suppress(CollectionError), Collection(folder) as damaged:
        problems = damaged.problems()
        assert problems or seed % 4
        assert all(isinstance(problem, str) for problem in problems)
        for use in (
            lambda: damaged.search(descriptor(1)[None]),
            lambda: list(damaged),
            lambda: damaged.add([picture_item("new", 99)], MODEL),
            lambda: damaged.remove(["1"]),
        ):
            with suppress(CollectionError):
                use()
