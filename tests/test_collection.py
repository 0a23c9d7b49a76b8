from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import draw_picture
from ectype.collection import Collection, cached_index
from ectype.collection.records import NewImage
from ectype.collection.store import Store
from ectype.descriptors import OnnxModel
from ectype.errors import (
    CollectionError,
    DuplicateIdError,
    InvalidDataError,
    ModelError,
    ModelMismatchError,
    StorageError,
    UsageError,
)
from ectype.images import ImageItem, list_images
from ectype.testing import ThumbnailModel
from ectype.testing.conformance import unit_rows
from stored_pictures import (
    MODEL,
    THIRTY,
    add,
    assert_holds,
    descriptor,
    execute,
    flip_last_byte,
    picture_bytes,
    picture_item,
    small_batches,
)

Pictures = Callable[..., Path]


# Creation


@pytest.mark.parametrize("state", ["missing", "empty"])
def test_a_collection_is_made_in_a_new_or_empty_folder(tmp_path: Path, state: str) -> None:
    folder = tmp_path / "some" / "where"
    if state == "empty":
        folder.mkdir(parents=True)
    with Collection.create(folder, MODEL) as made:
        assert (len(made), list(made), made.generation, made.problems()) == (0, [], 0, [])
        assert made.meta["model"] == "thumbnail"
        assert (made.fingerprint, made.meta["dimension"]) == (MODEL.fingerprint, "193")
        assert made.meta["created"].startswith("20")
        assert len(made.search(descriptor(0)[None])) == 0
    assert {entry.name for entry in folder.iterdir()} == {"collection.sqlite"}


@pytest.mark.parametrize("name", ["notes.txt", "model", "index", ".hidden"])
def test_a_folder_that_is_someone_elses_is_left_alone(folder: Path, name: str) -> None:
    (folder / name).mkdir(parents=True)
    with pytest.raises(CollectionError, match="holds other files; a collection needs a folder of its own"):
        Collection.create(folder, MODEL)
    assert [entry.name for entry in folder.iterdir()] == [name]


def test_a_collection_is_not_made_twice(filled: Collection) -> None:
    with pytest.raises(CollectionError, match="is a collection already"):
        Collection.create(filled.folder, MODEL)
    assert_holds(filled, THIRTY)


def test_a_collection_is_not_made_in_place_of_a_file(folder: Path) -> None:
    folder.write_text("mine")
    with pytest.raises(StorageError, match="a file of this name is there; choose another"):
        Collection.create(folder, MODEL)
    with pytest.raises(CollectionError, match="not a collection"):
        Collection(folder)
    assert folder.read_text() == "mine"


@pytest.mark.parametrize("remains", [(), ("model/model.onnx",), ("model/model.onnx", ".unfinished/collection.sqlite")])
def test_a_creation_that_was_cut_short_can_be_repeated(folder: Path, remains: tuple[str, ...]) -> None:
    (folder / ".unfinished").mkdir(parents=True)
    for name in remains:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"half")
    with Collection.create(folder, MODEL) as made:
        add(made, range(3))
    assert {entry.name for entry in folder.iterdir()} == {"collection.sqlite"}


def test_what_is_no_collection_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such collection; make one with"):
        Collection(tmp_path / "gone")
    with pytest.raises(CollectionError, match=r"not a collection \(it has no collection.sqlite\)"):
        Collection(tmp_path)


# Adding and removing


def test_adding_again_changes_nothing(filled: Collection) -> None:
    generation, content = filled.generation, list(filled)
    report = filled.add([picture_item(name, seed) for name, seed in THIRTY.items()], MODEL)
    assert (report.added, report.unchanged, report.replaced, report.skipped) == (0, 30, 0, ())
    assert (filled.generation, list(filled)) == (generation, content)


def test_an_image_is_exchanged_only_where_that_is_asked_for(filled: Collection) -> None:
    items = [picture_item("new", 40), picture_item("4", 44), picture_item("5", 5)]
    with pytest.raises(DuplicateIdError) as error:
        filled.add(items, MODEL)
    for words in ("nothing was added", "'4': memory:44 and, in the collection, memory:4", "--replace"):
        assert words in str(error.value)
    assert_holds(filled, THIRTY)
    report = filled.add(items, MODEL, replace=True)
    assert (report.added, report.unchanged, report.replaced, report.skipped) == (1, 1, 1, ())
    assert_holds(filled, THIRTY | {"new": 40, "4": 44})


def test_of_many_conflicts_some_are_shown(filled: Collection) -> None:
    with pytest.raises(DuplicateIdError, match="20 ids are taken") as error:
        filled.add([picture_item(str(number), 99) for number in range(20)], MODEL)
    assert str(error.value).count("in the collection") == 10
    assert "and 10 more" in str(error.value)


def test_two_images_of_one_call_need_two_ids(collection: Collection) -> None:
    with pytest.raises(DuplicateIdError, match="two images have the id 'a': memory:1 and memory:2"):
        collection.add([picture_item("a", 1), picture_item("b", 3), picture_item("a", 2)], MODEL)
    assert len(collection) == 0


def test_what_can_not_be_read_is_reported_and_the_rest_is_stored(
    collection: Collection, folder_of_pictures: Pictures
) -> None:
    pictures = folder_of_pictures(3)
    (pictures / "bad.jpg").write_bytes(b"not a picture")
    (pictures / "empty.jpg").write_bytes(b"")
    for added in (3, 0):
        report = collection.add(list_images([pictures]), MODEL)
        assert (report.added, report.unchanged) == (added, 3 - added)
        assert {(row.id, row.code) for row in report.skipped} == {("bad", "not-an-image"), ("empty", "empty")}
        assert all(row.location.startswith(str(pictures)) for row in report.skipped)
    (pictures / "p001.png").unlink()
    (report_of_the_missing,) = collection.add([ImageItem("p001", str(pictures / "p001.png"))], MODEL).skipped
    assert report_of_the_missing.code == "missing"
    assert len(collection) == 3


def test_metadata_and_urls_of_lists_are_kept(collection: Collection, tmp_path: Path) -> None:
    draw_picture(0).save(tmp_path / "a.png")
    draw_picture(1).save(tmp_path / "b.png")
    rows = [
        {"path": "a.png", "url": "https://example.org/a", "year": 1999, "tags": ["x", "ü"], "of": {"deep": None}},
        {"path": "b.png", "url": None},
    ]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    collection.add(list_images([tmp_path / "list.jsonl"]), MODEL)
    first, second = collection
    assert (first.id, first.location) == ("a", "https://example.org/a")
    assert first.metadata == {"year": 1999, "tags": ["x", "ü"], "of": {"deep": None}}
    assert (second.location, second.metadata) == (str(tmp_path / "b.png"), {})


@pytest.mark.parametrize("metadata", [{"x": float("nan")}, {"x": {1, 2}}, {"x": Path()}])
def test_metadata_that_are_no_json_are_refused(filled: Collection, metadata: dict[str, Any]) -> None:
    odd = ImageItem("odd", "memory:50", metadata, content=picture_bytes(50))
    with pytest.raises(InvalidDataError, match="image 'odd': its metadata can't be stored as JSON"):
        filled.add([picture_item("new", 51), odd], MODEL)
    assert_holds(filled, THIRTY)


@pytest.mark.parametrize("word", ["odd\udce9", "\ud800"])
def test_text_that_is_no_unicode_is_refused(filled: Collection, word: str) -> None:
    with pytest.raises(InvalidDataError, match="can't be stored, since it is no valid Unicode"):
        filled.add([picture_item(word, 50)], MODEL)
    odd = ImageItem("odd", "memory:50", {"x": word}, content=picture_bytes(50))
    with pytest.raises(InvalidDataError, match="can't be stored, since it is no valid Unicode"):
        filled.add([odd], MODEL)
    assert_holds(filled, THIRTY)


def test_locations_are_absolute(collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path)
    draw_picture(0).save("below/a.png")
    draw_picture(1).save("b.png")
    with tarfile.open("shard.tar", "w") as archive:
        archive.add("b.png", "x/../b.png")
    items = list_images(["below/../below", "shard.tar"])
    collection.add([*items, ImageItem("stdin", "-", content=picture_bytes(3))], MODEL)
    archived = f"{tmp_path}/shard.tar::x/../b.png"
    assert [reference.location for reference in collection] == [f"{tmp_path}/below/a.png", archived, "-"]
    assert ImageItem.at("b", archived).read() == Path("b.png").read_bytes()


def test_a_vector_that_can_not_be_right_is_not_stored(filled: Collection) -> None:
    class Broken(ThumbnailModel):
        def describe(self, images: Sequence[np.ndarray]) -> np.ndarray:
            return super().describe(images) * 2

    with pytest.raises(InvalidDataError, match="not finite vectors of unit length"):
        filled.add([picture_item("new", 50)], Broken())
    assert_holds(filled, THIRTY)


def test_progress_counts_every_image_once(filled: Collection) -> None:
    counts: list[int] = []
    items = [picture_item(str(seed), seed) for seed in range(50)]
    items += [ImageItem("bad", "memory:bad", content=b"x")]
    with small_batches():
        filled.add(items, MODEL, on_progress=counts.append)
    assert sum(counts) == 51


def test_removing_takes_what_is_there(filled: Collection) -> None:
    assert filled.remove(["7", "unknown", "2", "7"]) == ["7", "2"]
    assert filled.remove(["7"]) == []
    assert filled.remove([]) == []
    assert_holds(filled, {name: seed for name, seed in THIRTY.items() if name not in ("2", "7")})


def test_references_come_in_the_order_they_were_added(filled: Collection) -> None:
    order = [*range(20), *range(20, 30)]
    for moved in (3, 14):
        order.remove(moved)
    order[18:18] = [3, 14]
    for moved in (5, 25):
        order.remove(moved)
    assert [reference.id for reference in filled] == [str(number) for number in [*order, 5, 25]]
    rows = [reference.row for reference in filled]
    assert rows == sorted(rows)


def test_references_are_found_by_the_rows_of_a_search(filled: Collection) -> None:
    found = filled.search(np.array([descriptor(8), descriptor(21)]), 1)
    names = filled.references(found.reference_rows)
    assert [names[row].id for row in found.reference_rows.tolist()] == ["8", "21"]
    assert filled.references([10**9]) == {}


def test_descriptors_are_given_by_row_as_they_are_searched(filled: Collection) -> None:
    rows = {reference.row: int(reference.id) for reference in filled}
    vectors = filled.vectors([*rows, 10**6])
    assert vectors.keys() == rows.keys()
    for row, seed in rows.items():
        assert vectors[row].dtype == np.float32
        assert np.array_equal(vectors[row], descriptor(seed).astype(np.float16).astype(np.float32))
    assert filled.vectors([]) == {}
    some = np.array(list(rows))[:3]  # NumPy's numbers are numbers, too
    assert filled.vectors(some).keys() == set(some.tolist())


@pytest.mark.parametrize("vector", [b"12", np.full(193, np.inf, "<f2").tobytes()])
def test_a_descriptor_that_is_none_is_not_given(filled: Collection, vector: bytes) -> None:
    execute(filled.folder, "UPDATE images SET vector = ? WHERE id = '7'", vector)
    with pytest.raises(CollectionError, match="not a sound collection database"):
        filled.vectors(reference.row for reference in filled)


def test_every_change_counts(collection: Collection) -> None:
    with small_batches():
        add(collection, range(9))
    assert collection.generation == 3
    collection.remove(["unknown"])
    collection.rebuild()
    assert collection.generation == 3
    collection.remove(["1", "2"])
    assert collection.generation == 4


# Models


def test_another_model_is_refused(filled: Collection) -> None:
    other = ThumbnailModel("other")
    with pytest.raises(ModelMismatchError, match=r"described by thumbnail .*, not by other .*create a new collection"):
        filled.add([picture_item("new", 50)], other)
    with pytest.raises(ModelMismatchError):
        filled.check_model(other)
    filled.check_model(ThumbnailModel())
    assert_holds(filled, THIRTY)


def test_a_model_that_can_not_be_stored_must_be_given(filled: Collection) -> None:
    with pytest.raises(ModelError, match="keeps no model here; give the one it was made with, thumbnail"):
        filled.add([picture_item("new", 50)])


def test_a_collection_keeps_its_model(folder: Path, folder_of_pictures: Pictures, bundled_model: OnnxModel) -> None:
    with Collection.create(folder, bundled_model) as made:
        assert {entry.name for entry in (folder / "model").iterdir()} == {"model.onnx", "model.json"}
        assert made.add(list_images([folder_of_pictures(2)])).added == 2
        assert made.load_model().fingerprint == bundled_model.fingerprint
        assert made.problems() == []
        kept = bundled_model.describe([np.asarray(draw_picture(1))])
        assert made.search(kept, 1).scores[0] == pytest.approx(1, abs=1e-3)

        card = json.loads((folder / "model" / "model.json").read_text())
        (folder / "model" / "model.json").write_text(json.dumps(card | {"resize": "centre", "name": "changed"}))
        with pytest.raises(ModelMismatchError, match=r"holds changed .*, but the images were described by"):
            made.add(list_images([folder_of_pictures(3)]))
        assert "put that model back" in made.problems()[0]

        flip_last_byte(folder / "model" / "model.onnx")
        with pytest.raises(ModelError, match="damaged"):
            made.load_model()
        assert "damaged" in made.problems()[0]
        assert len(made) == 2


# Scale


def test_no_work_on_a_few_images_reads_all_of_them(folder: Path) -> None:
    Collection.create(folder, MODEL).close()
    store = Store(folder / "collection.sqlite")
    connection = store._connection

    def new(number: int) -> NewImage:
        return NewImage(str(number), bytes(32), "", {}, descriptor(number))

    store.insert([new(number) for number in range(50)])
    connection.execute("ANALYZE")
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    store.insert([new(50), new(51)])
    store.insert([new(1)], replace=True)
    store.remove(["3", "4"])
    store.changes_since(store.generation() - 1)
    store.count_since(store.generation() - 1)
    store.by_id(["5"])
    store.by_row([5])
    store.stamp()
    connection.set_trace_callback(None)
    plans = [
        step[3]
        for statement in statements
        if statement.startswith(("SELECT", "DELETE", "UPDATE"))
        for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert any("images_by_generation" in step for step in plans)
    assert [step for step in plans if step.startswith("SCAN") and step != "SCAN snapshot"] == []
    store.close()


def test_many_images_come_back_as_they_were_stored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ectype.collection.store._ROWS_A_BLOCK", 700)
    vectors = unit_rows(np.random.default_rng(0), 2000, MODEL.dimension)
    Collection.create(folder, MODEL).close()
    store = Store(folder / "collection.sqlite")
    for start in range(0, 2000, 500):
        store.insert([NewImage(str(n), bytes(32), "", {}, vectors[n]) for n in range(start, start + 500)])
    changes = store.changes_since(0)
    assert np.array_equal(changes.vectors, vectors.astype(np.float16))
    assert len(store.by_id(map(str, range(2500)))) == 2000
    assert np.array_equal(store.changes_since(3).vectors, vectors[1500:].astype(np.float16))
    store.close()
    with Collection(folder) as collection:
        assert collection.add([picture_item("new", 1)], MODEL).added == 1
        assert len(list((folder / "index").iterdir())) == 2
        assert cached_index._STALE_ROWS == 1000
        assert collection.problems() == []
