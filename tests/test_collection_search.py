from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ectype.collection import Collection
from ectype.errors import InvalidDataError
from ectype.indexes import FaissIndex
from ectype.testing.conformance import unit_rows
from stored_pictures import (
    MODEL,
    THIRTY,
    add,
    assert_finds,
    assert_holds,
    descriptor,
    execute,
    flip_last_byte,
    small_batches,
)


def test_searching_finds_what_brute_force_finds(filled: Collection) -> None:
    assert_holds(filled, THIRTY)
    for change in (filled.rebuild, lambda: filled.remove(["1", "28"]), lambda: add(filled, [1, 28]), filled.rebuild):
        change()
        assert_finds(filled, {reference.id: int(reference.id) for reference in filled})
        with Collection(filled.folder) as reader:
            assert_finds(reader, {reference.id: int(reference.id) for reference in filled})


def test_descriptors_of_another_size_are_refused(filled: Collection) -> None:
    with pytest.raises(InvalidDataError, match="256 dimensions where 193 are expected"):
        filled.search(unit_rows(np.random.default_rng(0), 1, 256))


def test_an_index_on_disk_is_written_when_much_has_changed(collection: Collection) -> None:
    def newest() -> list[str]:
        return sorted(file.name for file in (collection.folder / "index").glob("*"))

    with small_batches():
        add(collection, range(6))
        assert newest() == []
        add(collection, [6])
        assert newest() == ["rows-3.npy", "vectors-3.npy"]
        collection.remove(["0", "1", "2"])
        add(collection, [7, 8, 9])
        assert newest() == ["rows-3.npy", "vectors-3.npy"]
        collection.remove(["5"])
        assert newest() == ["rows-6.npy", "vectors-6.npy"]
        shutil.rmtree(collection.folder / "index")
        add(collection, [10])
        assert newest() == ["rows-7.npy", "vectors-7.npy"]


def test_an_index_of_an_emptied_collection_is_empty(filled: Collection) -> None:
    filled.remove(THIRTY)
    filled.rebuild()
    with Collection(filled.folder) as reader:
        assert_holds(reader, {})
        assert reader.problems() == []


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def scramble_header(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"'descr'", b"\xff(((''"))


def put_pickle(path: Path) -> None:
    np.save(path, np.array([object()]), allow_pickle=True)


@pytest.mark.parametrize("name", ["rows", "vectors"])
@pytest.mark.parametrize(
    "damage", [flip_last_byte, halve, scramble_header, put_pickle, lambda path: path.write_bytes(b"")]
)
def test_a_damaged_index_is_noticed_and_not_used(filled: Collection, name: str, damage: Callable[[Path], None]) -> None:
    (file,) = (filled.folder / "index").glob(f"{name}-*.npy")
    damage(file)
    with Collection(filled.folder) as reader:
        assert_finds(reader, THIRTY)
        assert reader.problems() == ["the search index is damaged; `ectype collection rebuild` writes it anew"]
        reader.rebuild()
        assert reader.problems() == []
        assert_finds(reader, THIRTY)


def test_a_missing_index_is_nothing_wrong(filled: Collection) -> None:
    assert_finds(filled, THIRTY)
    filled.rebuild()
    shutil.rmtree(filled.folder / "index")
    assert filled.problems() == []
    assert_finds(filled, THIRTY)


def test_the_index_of_another_collection_is_not_used(filled: Collection, tmp_path: Path) -> None:
    with Collection.create(tmp_path / "other", MODEL) as other:
        while other.generation < filled.generation:
            add(other, [100 + other.generation])
            other.rebuild()
            shutil.copytree(other.folder / "index", filled.folder / "index", dirs_exist_ok=True)
    with Collection(filled.folder) as reader:
        assert_finds(reader, THIRTY)


def test_an_index_is_not_used_for_an_older_database_that_took_another_way(folder: Path, tmp_path: Path) -> None:
    with Collection.create(folder, MODEL) as collection:
        add(collection, range(5))
    shutil.copy(folder / "collection.sqlite", tmp_path / "backup")
    with Collection(folder) as collection:
        add(collection, range(5, 10))
        collection.rebuild()
    shutil.copy(tmp_path / "backup", folder / "collection.sqlite")
    with Collection(folder) as collection:
        assert_holds(collection, {str(seed): seed for seed in range(5)})
        add(collection, range(20, 25))
        assert_holds(collection, {str(seed): seed for seed in [*range(5), *range(20, 25)]})


def test_an_index_that_differs_from_the_database_is_noticed(filled: Collection) -> None:
    execute(filled.folder, "UPDATE images SET vector = (SELECT vector FROM images WHERE id = '1') WHERE id = '2'")
    (problem,) = filled.problems()
    assert "the search index differs from the database" in problem
    filled.rebuild()
    assert filled.problems() == []


def test_an_update_of_the_index_that_was_broken_off_does_no_harm(
    filled: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_finds(filled, THIRTY)
    add(filled, [30])
    filled.remove(["0"])
    whole_addition = FaissIndex.add

    def interrupted(index: FaissIndex, *arguments: Any) -> None:
        whole_addition(index, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patches:
        patches.setattr(FaissIndex, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            filled.search(descriptor(0)[None])
    expected = {str(seed): seed for seed in range(1, 31)}
    assert_finds(filled, expected)
